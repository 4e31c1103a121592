"""Runs that die: killed at random and before every second commit or rename, interrupted, out of disk, or not alone."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time

import pytest

from hardcut.engine.ledger import Ledger
from hardcut.engine.status import read_status
from hardcut.schemas.errors import UsageError

SLOW = """
chain = Chain()
chain.look.delay_s = chain.tell.delay_s = chain.judge.delay_s = 0.01
"""

RANDOM = f"""
import random, shutil, time

chance, (folder, kills) = random.Random(20), (Path(sys.argv[1]), int(sys.argv[2]))

def start():
    child = os.fork()
    if not child:
{SLOW.replace(chr(10), chr(10) + "        ")}
        asyncio.run(chain.run(folder, sources(60)))
        os._exit(0)
    return child

def finish(child):
    assert os.waitpid(child, 0)[1] == 0
    assert outputs(folder) == outputs(Path(sys.argv[3]))

started = time.monotonic()
finish(start())
longest = time.monotonic() - started
shutil.rmtree(folder)
while kills:
    child = start()
    time.sleep(chance.uniform(0, longest / 2))
    if os.waitpid(child, os.WNOHANG)[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
        kills -= 1
    else:  # it got through between two kills: once more from the start
        finish(start())
        shutil.rmtree(folder)
finish(start())
print("same", flush=True)
"""

SWEEP = """
from hardcut.engine.database import Database

commit, replace, count = Database._commit, Path.replace, 0

def moment():
    global count
    count += 1
    if count == point:
        os._exit(9)

def counted_commit(self, jobs):
    moment()
    commit(self, jobs)

def counted_replace(self, target):
    moment()
    return replace(self, target)

Database._commit, Path.replace = counted_commit, counted_replace
point, deaths = 0, 0
folder = Path(sys.argv[1])
while True:
    point += int(sys.argv[2])
    count = 0
    child = os.fork()
    if not child:
        asyncio.run(Chain().run(folder / str(point), sources(30)))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status == 0:
        break
    deaths += 1
    point, resumed = 0, point  # the second start of the same folder goes through
    asyncio.run(Chain().run(folder / str(resumed), sources(30)))
    point = resumed
    assert outputs(folder / str(resumed)) == outputs(Path(sys.argv[3])), f"differs when killed at moment {resumed}"
print(deaths)
"""


async def test_killed_at_random_moments(tmp_path, child, new_chain, given):
    await new_chain().run(tmp_path / "whole", given(60))
    process = child(RANDOM, tmp_path / "killed", 20, tmp_path / "whole", stdout=subprocess.PIPE)
    assert process.communicate()[0] == "same\n"


async def test_killed_before_commits_and_renames(tmp_path, child, new_chain, given):
    await new_chain().run(tmp_path / "whole", given(30))
    process = child(SWEEP, tmp_path / "sweep", 2, tmp_path / "whole", stdout=subprocess.PIPE)
    deaths, _ = process.communicate()
    assert process.returncode == 0
    assert int(deaths) >= 15


async def test_interrupted(tmp_path, child, new_chain, given, files_of):
    await new_chain().run(tmp_path / "whole", given(60))
    code = f"""{SLOW}
chain.tell.delay_s = 4
try:
    asyncio.run(chain.run(Path(sys.argv[1]), sources(60)))
except KeyboardInterrupt:
    sys.exit(130)
"""
    process = child(code, tmp_path / "stopped", stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        if (tmp_path / "stopped" / "ledger.sqlite").exists():
            stages = read_status(tmp_path / "stopped").stages
            if len(stages) == 4 and stages[1].done:
                break
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    assert process.wait() == 130, "Ctrl-C reaches the caller as KeyboardInterrupt"
    assert time.monotonic() - sent < 3, "what is in flight is cancelled, not waited for"
    look, tell, *_ = read_status(tmp_path / "stopped").stages
    assert tell.done and tell.pending and tell.units_in == tell.done + tell.pending
    seen = look.done + look.dropped + look.failed
    counts = await new_chain().run(tmp_path / "stopped", given(60))
    all_told = read_status(tmp_path / "stopped").stages[1].units_in
    assert (counts["look"], counts["tell"]) == (60 - seen, all_told - tell.done)
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


def test_two_processes_on_one_run(tmp_path, child):
    code = "with Ledger(Path(sys.argv[1])):\n    print('ready', flush=True)\n    sys.stdin.read()"
    holder = child(code, tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == "ready\n"
    with pytest.raises(UsageError, match="another process works on this run"):
        Ledger(tmp_path)
    assert read_status(tmp_path).stages == (), "reading needs no lock"
    holder.kill()
    holder.wait()
    Ledger(tmp_path).close()


@pytest.mark.parametrize("allowed", [100_000, 150_000])
async def test_no_space_left(tmp_path, child, new_chain, given, files_of, allowed):
    """A limit on the size of files stands in for a full disk: SQLite and our own files meet it alike."""
    await new_chain().run(tmp_path / "whole", given(150))
    code = f"""
import resource
from hardcut.schemas.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, ({allowed}, {allowed}))
try:
    asyncio.run(Chain().run(Path(sys.argv[1]), sources(150)))
except StorageError as error:
    print(error)
"""
    process = child(code, tmp_path / "full", stdout=subprocess.PIPE)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert "ledger.sqlite" in said and "start again" in said, said
    await new_chain().run(tmp_path / "full", given(150))
    assert files_of(tmp_path / "full") == files_of(tmp_path / "whole")
