"""A long walk over one run of the whole chain: other settings, other models, kills, altered files, other videos.

After every step the run's files are those of a fresh run, in folders of its own, under the same settings and videos;
what other runs paid for does not stay (`negatives.keep`), for a fresh run knows nothing of it.
`HARDCUT_STEPS` makes the walk longer, `HARDCUT_SEED` another one.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

STEPS = int(os.environ.get("HARDCUT_STEPS", "120"))
SEED = int(os.environ.get("HARDCUT_SEED", "14"))

# One process has imported everything; each run is a fork of it, so that a run costs no start and can be killed.
DRIVER = """
import asyncio, json, os, sys, time
from pathlib import Path
import hardcut.teacher.server.openai
from hardcut.engine.progress import NullProgress
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.schemas.config import load_settings

for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        settings = load_settings(None, order["settings"])
        job = Job(Path(order["videos"]), Path(order["out"]), settings, Cache(Path(order["cache"])))
        asyncio.run(carry_out(job, NullProgress()))
        os._exit(0)
    until = time.monotonic() + (order["kill_after_s"] or 1000)
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < until:
        time.sleep(0.002)
    if ended[0] == 0:
        os.kill(child, 9)
        ended = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(ended[1]), flush=True)
"""

BASE: dict[str, Any] = {
    "evidence.ocr": "off", "evidence.motion": False, "evidence.shots": False,
    "resources.workers": 1, "queries.views": ["caption", "metadata"], "negatives.keep": "nothing",
}  # fmt: skip
CHOICES: dict[str, tuple[Any, ...]] = {
    "media.max_frames": (12, 9),
    "evidence.metadata_fields": (["title", "tags"], ["title"]),
    "captions.max_words": (120, 40),
    "queries.composed": (2, 0),
    "counterfactuals.variants": (["reversed", "negated"], ["negated"]),
    "negatives.per_query": (8, 2),
    "filters.leak": (True, False),
    "judgments.trusted_below": (-6.0, -2.0),
}
MODELS = ("judge", "some/model")
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
REPLIES = (
    "UPDATE reply SET body = replace(body, 'e', 'a') WHERE rowid = (SELECT rowid FROM reply ORDER BY random() LIMIT 1)",
    "UPDATE reply SET digest = 'x' WHERE rowid = (SELECT rowid FROM reply ORDER BY random() LIMIT 1)",
    "DELETE FROM reply WHERE rowid = (SELECT rowid FROM reply ORDER BY random() LIMIT 1)",
)


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Starts a run and says how it ended: `start(videos, out, cache, settings, kill_after_s=None)`."""
    with (
        (tmp_path / "driver.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as driver,
    ):
        assert driver.stdin and driver.stdout

        def call(
            videos: Path, out: Path, cache: Path, settings: dict[str, Any], kill_after_s: float | None = None
        ) -> int:
            order = {"videos": str(videos), "out": str(out), "cache": str(cache), "settings": settings}
            print(json.dumps({**order, "kill_after_s": kill_after_s}), file=driver.stdin, flush=True)
            return int(driver.stdout.readline())  # type: ignore[union-attr]

        yield call
        driver.stdin.close()


def files_of(run: Path) -> dict[str, bytes]:
    """What a run writes for others to read, but for its report, which tells times."""
    paths = (path for path in run.iterdir() if path.suffix in (".jsonl", ".toml") and path.name != "kept.jsonl")
    return {path.name: path.read_bytes() for path in paths}


class Videos:
    """A folder of three videos, of which the last is one of two, with one of two titles."""

    def __init__(self, folder: Path, world: Path) -> None:
        self.folder = folder
        *others, one, other = sorted((world / "videos").rglob("*.mp4"))[:4]  # two pairs of twins
        folder.mkdir()
        for clip in others:
            for file in clip.parent.glob(f"{clip.stem}.*"):
                shutil.copy(file, folder)
        self._clips = one, other
        self.clip = self.title = 0
        self.put()

    def put(self) -> None:
        """Writes the last video and its metadata."""
        shutil.copy(self._clips[self.clip], self.folder / "last.mp4")
        (self.folder / "last.json").write_text(json.dumps({"title": ("A clip", "Another clip")[self.title]}))


def alter(path: Path, dice: random.Random) -> str:
    """What a bad disk, a full one, or a curious person does to a file."""
    data = path.read_bytes()
    how = dice.choice(("cut", "a line less", "a byte", "gone", "empty", "touched"))
    if how == "gone":
        path.unlink()
    elif how == "touched":
        os.utime(path, (time.time() - 1000, time.time() - 1000))
    elif data:
        place = dice.randrange(len(data))
        lines = data.splitlines(keepends=True)
        path.write_bytes(
            {
                "cut": data[:place],
                "a line less": b"".join(lines[1:]),
                "a byte": data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
                "empty": b"",
            }[how]
        )
    return f"{path.name}: {how}"


def execute(database: Path, statement: str) -> str:
    """Alters a row of a database."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)
    return statement


@pytest.mark.timeout(2400)
def test_every_step_of_a_long_walk_ends_where_a_fresh_run_does(
    tmp_path: Path, world: Path, teacher_server: Any, start: Callable[..., int]
) -> None:
    dice = random.Random(SEED)
    videos = Videos(tmp_path / "videos", world)
    run, cache = tmp_path / "run", tmp_path / "cache"
    chosen = dict.fromkeys(CHOICES, 0)
    model, took_s = 0, 1.0
    fresh: dict[str, dict[str, bytes]] = {}
    steps, killed = Counter[str](), 0

    for number in range(STEPS):
        kind = dice.choice(("settings", "model", "video", "kill", "kill", "file", "frame", "row", "reply", "nothing"))
        what = kind
        if kind in ("settings", "kill"):  # a kill of a run that has nothing to do would hit nothing
            name = dice.choice(list(CHOICES))
            chosen[name] = 1 - chosen[name]
            what = f"{kind}: {name}"
        elif kind == "model":
            model = 1 - model
        elif kind == "video":
            videos.clip, videos.title = dice.randrange(2), dice.randrange(2)
            videos.put()
        elif kind == "file" and run.exists():
            what = alter(dice.choice(sorted(run.glob("*.jsonl"))), dice)
        elif kind == "frame" and cache.exists():
            what = alter(dice.choice(sorted(path for path in (cache / "frames").rglob("*") if path.is_file())), dice)
        elif kind == "row" and run.exists():
            what = execute(run / "ledger.sqlite", dice.choice(ROWS))
        elif kind == "reply" and cache.exists():
            what = execute(cache / "replies.sqlite", dice.choice(REPLIES))
        settings = {
            **BASE,
            **{name: CHOICES[name][choice] for name, choice in chosen.items()},
            "teacher.spec": f"openai:{MODELS[model]}@{teacher_server.url}",
        }
        state = json.dumps([settings, videos.clip, videos.title])
        if state not in fresh:
            out = tmp_path / f"fresh{len(fresh)}"
            assert start(videos.folder, out, tmp_path / "fresh-cache", settings) == 0, _log(tmp_path)
            fresh[state] = files_of(out)
            shutil.rmtree(out)
            shutil.rmtree(tmp_path / "fresh-cache")
        if kind == "kill":
            killed += start(videos.folder, run, cache, settings, dice.uniform(0.01, took_s)) == -9
        begun = time.monotonic()
        assert start(videos.folder, run, cache, settings) == 0, (number, what, _log(tmp_path))
        if kind in ("settings", "model"):
            took_s = time.monotonic() - begun  # as long as a run takes that has something to do
        found = files_of(run)
        different = sorted(name for name in found.keys() | fresh[state] if found.get(name) != fresh[state].get(name))
        assert not different, f"step {number} of seed {SEED} ({what}): {different}"
        steps[kind] += 1
    print(f"{STEPS} steps against {len(fresh)} fresh runs: {dict(steps)}, {killed} killed at work")
    assert steps.total() == STEPS
    assert STEPS < 200 or killed >= 10, "kills that hit a run at work"


def _log(tmp_path: Path) -> str:
    return (tmp_path / "driver.log").read_text()[-2000:]
