"""A long walk over one run: settings, other models, kills, altered files and rows, more and fewer sources.

After each step that ends, the run's files are those of a fresh run under the same settings. `HARDCUT_STEPS` makes the
walk longer, `HARDCUT_SEED` another.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.ledger import Ledger
from hardcut.engine.status import read_status

STEPS = int(os.environ.get("HARDCUT_STEPS", "220"))
SEED = int(os.environ.get("HARDCUT_SEED", "11"))
STAGES = ("look", "tell", "mine", "judge")
SOURCES = (12, 25, 40)

ROWS = (
    "UPDATE record SET body = body || ' ' WHERE rowid = (SELECT rowid FROM record ORDER BY random() LIMIT 1)",
    "UPDATE record SET digest = 'x' WHERE rowid = (SELECT rowid FROM record ORDER BY random() LIMIT 1)",
    "DELETE FROM record WHERE rowid = (SELECT rowid FROM record ORDER BY random() LIMIT 1)",
    "UPDATE unit SET status = 'dropped' WHERE id = (SELECT min(id) FROM unit WHERE status = 'done')",
    "DELETE FROM unit WHERE id = (SELECT id FROM unit ORDER BY random() LIMIT 1)",
    "UPDATE stage SET state = 'x' WHERE name = (SELECT name FROM stage ORDER BY random() LIMIT 1)",
    "DELETE FROM snapshot",
    "UPDATE file SET digest = 'x'",
)

KILLED = """
import json
chain = Chain()
for name, value in json.loads(sys.argv[2]).items():
    getattr(chain, name).settings = value
chain.look.delay_s = chain.tell.delay_s = chain.judge.delay_s = 0.002
print("begun", flush=True)
asyncio.run(chain.run(Path(sys.argv[1]), sources(int(sys.argv[3]))))
"""


@pytest.mark.timeout(1800)
async def test_every_step_of_a_long_walk_ends_where_a_fresh_run_does(
    tmp_path: Path, new_chain: Any, given: Any, files_of: Any, child: Any
) -> None:
    dice = random.Random(SEED)
    run, fresh = tmp_path / "run", {}
    settings: dict[str, dict[str, int]] = {name: {} for name in STAGES}
    count, compared = SOURCES[1], 0

    async def carry_out(folder: Path) -> dict[str, bytes]:
        chain = new_chain()
        for name in STAGES:
            getattr(chain, name).settings = settings[name]
        await chain.run(folder, given(count))
        return files_of(folder)  # type: ignore[no-any-return]

    for step in range(STEPS):
        what = dice.choice(("settings", "model", "sources", "kill", "kill", "file", "file", "row", "row", "again"))
        files = sorted(run.glob("*.jsonl"))
        if what in ("settings", "model"):  # a model is a part of the settings of those who ask it
            name = dice.choice(STAGES if what == "settings" else ("tell", "judge"))
            settings[name] = {what: dice.randrange(2)}
        elif what == "sources":
            count = dice.choice(SOURCES)
        elif what == "kill":
            process = child(KILLED, run, json.dumps(settings), count, stdout=-1)
            assert process.stdout.readline() == "begun\n"
            await asyncio.sleep(dice.uniform(0, 0.4))
            process.kill()
            process.wait()
            process.stdout.close()
        elif what == "file" and files:
            _alter(dice.choice(files), dice)
        elif what == "row" and (run / "ledger.sqlite").exists():
            Ledger(run).close()  # what a kill left in the log is in the file then
            with sqlite3.connect(run / "ledger.sqlite") as connection:
                connection.execute(dice.choice(ROWS))
            connection.close()
        state = (str(settings), count)
        if state not in fresh:
            fresh[state] = await carry_out(tmp_path / f"fresh{len(fresh)}")
        found = await carry_out(run)
        assert found == fresh[state], f"step {step} ({what}) of seed {SEED}"
        assert read_status(run).finished
        compared += 1
    assert compared == STEPS


def _alter(path: Path, dice: random.Random) -> None:
    data = path.read_bytes()
    how = dice.choice(("cut", "line", "byte", "gone", "empty", "touch"))
    if how == "gone":
        path.unlink()
    elif how == "touch":
        os.utime(path, (time.time() - 1000, time.time() - 1000))
    elif data:
        place = dice.randrange(len(data))
        lines = data.splitlines(keepends=True)
        path.write_bytes(
            {
                "cut": data[:place],
                "line": b"".join(line for line in lines if line != dice.choice(lines)),
                "byte": data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
                "empty": b"",
            }[how]
        )
