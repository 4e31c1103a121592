"""Workers that hang, crash and are cancelled."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hardcut.engine.pool import WorkerPool
from hardcut.engine.stopwatch import Stopwatch, current_unit
from hardcut.schemas.errors import BudgetReached, DropItem, ItemError, MissingDependency

# Workers import this by name: functions of a test module are not importable in them.
sys.path.insert(0, str(Path(__file__).parent))
import pool_work as work

_others: set[int] = set()


@pytest.fixture(autouse=True)
def _not_ours() -> None:
    """What tests before left running in this process, such as a server of theirs, is no worker of a pool here."""
    _others.clear()
    _others.update(children())


def children() -> set[int]:
    """Living child processes, without the tracker that multiprocessing keeps for the life of the interpreter."""
    return {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if process.pid not in _others
        and process.status() != psutil.STATUS_ZOMBIE
        and "resource_tracker" not in " ".join(process.cmdline())
    }


async def test_calls_and_what_they_raise():
    with WorkerPool(2, timeout_s=60) as pool:
        assert children() == set(), "no process before the first call"
        assert await asyncio.gather(*(pool.call(work.square, n) for n in range(20))) == [n * n for n in range(20)]
        assert 1 <= len(children()) <= 2
        with pytest.raises(ItemError) as caught:
            await pool.call(work.fail, "item")
        assert (caught.value.reason, caught.value.detail, caught.value.raw) == ("damaged", "no frames", "moov")
        assert "pool_work.py" in caught.value.__notes__[0]
        with pytest.raises(ZeroDivisionError):
            await pool.call(work.fail, "zero")
        with pytest.raises(RuntimeError, match="Unpicklable: 1 2"):
            await pool.call(work.fail, "unpicklable")
        with pytest.raises(TimeoutError, match="from inside"):
            await pool.call(work.fail, "timeout")
        with pytest.raises(SystemExit) as left:
            await pool.call(work.fail, "exit")
        assert left.value.code == 3
        assert await pool.call(work.square, 3) == 9
    assert children() == set()


async def test_hang_and_crash_cost_only_themselves():
    with WorkerPool(3, timeout_s=60) as pool:
        good = [pool.call(work.slow_square, n) for n in range(12)]
        bad = [
            pool.call(work.hang, timeout_s=0.5),
            pool.call(work.leave, 7),
            pool.call(work.die, signal.SIGSEGV),
            pool.call(work.die, signal.SIGKILL),
        ]
        results = await asyncio.gather(*good[:6], *bad, *good[6:], return_exceptions=True)
        assert [*results[:6], *results[10:]] == [n * n for n in range(12)]
        said = [(error.reason, error.detail) for error in results[6:10]]
        assert [reason for reason, _ in said] == ["timeout", "crashed", "crashed", "crashed"]
        assert "hang took longer than 0.5 s" in said[0][1]
        assert "exit status 7" in said[1][1] and "SIGSEGV" in said[2][1] and "SIGKILL" in said[3][1]
        assert await pool.call(work.square, 4) == 16
    assert children() == set()


async def test_crashes_at_once_never_touch_the_others():
    async def one(pool, number):
        try:
            return await pool.call(work.leave, 7) if number % 4 == 0 else await pool.call(work.square, number)
        except ItemError as error:
            return error.reason

    with WorkerPool(4, timeout_s=60) as pool:
        results = await asyncio.gather(*(one(pool, number) for number in range(32)))
    assert results == ["crashed" if number % 4 == 0 else number * number for number in range(32)]


async def test_a_closed_pool_starts_nothing():
    with WorkerPool(1, timeout_s=60) as pool:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await pool.call(work.square, 1)


async def test_cancelling_kills_the_work(tmp_path):
    with WorkerPool(1, timeout_s=60) as pool:
        await pool.call(work.square, 1)
        task = asyncio.create_task(pool.call(work.write_after, str(tmp_path / "written"), 1.5))
        await asyncio.sleep(0.4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await pool.call(work.square, 2) == 4, "the pool goes on"
        await asyncio.sleep(1.5)
        assert not (tmp_path / "written").exists()


async def test_idle_workers_that_die_are_replaced():
    with WorkerPool(2, timeout_s=60) as pool:
        await pool.call(work.square, 1)
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.3)
        assert await pool.call(work.square, 5) == 25


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_us(child, number):
    code = """
import pool_work as work
from hardcut.engine.pool import WorkerPool
async def main():
    with WorkerPool(2, timeout_s=60) as pool:
        await pool.call(work.square, 1)
        print("ready", flush=True)
        await asyncio.gather(pool.call(work.hang), pool.call(work.hang))
asyncio.run(main())
"""
    process = child(code, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(number)
    process.wait(10)
    assert psutil.wait_procs(workers, timeout=5)[1] == []


async def test_workers_import_little():
    with WorkerPool(1, timeout_s=60) as pool:
        loaded = set(await pool.call(work.loaded_modules))
    assert not loaded & {
        "torch",
        "transformers",
        "datasets",
        "numpy",
        "av",
        "cv2",
        "PIL",
        "pyarrow",
        "tenacity",
        "pydantic",
    }


@pytest.mark.parametrize(
    "error",
    [
        ItemError("damaged", "no frames", "moov"),
        DropItem("dull", "nothing"),
        BudgetReached("x"),
        MissingDependency("y"),
    ],
)
def test_our_errors_survive_pickling(error):
    import pickle

    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


async def test_waiting_for_a_worker_is_no_work_of_the_unit() -> None:
    watches = []

    async def unit(pool: WorkerPool) -> None:
        watch = Stopwatch()
        current_unit.set(watch)
        await pool.call(time.sleep, 0.4)
        watches.append(watch.seconds)

    with WorkerPool(1, 30.0) as pool:
        await pool.call(abs, -1)  # the worker is up
        await asyncio.gather(*(unit(pool) for _ in range(4)))
    assert min(watches) >= 0.35 and sum(watches) < 3.2, watches  # 1.6 of work; 4.0 with the waiting
