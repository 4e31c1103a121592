"""A loop of our own for callers from outside: it answers, it can be interrupted, and nobody waits for himself."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time

import pytest

from hardcut.engine.background import Background
from hardcut.schemas.errors import UsageError


@pytest.fixture
def background() -> Background:
    return Background()


async def slow(ended: list[str], seconds: float = 30) -> str:
    try:
        await asyncio.sleep(seconds)
        return "slept"
    finally:
        await asyncio.sleep(0.1)  # what is in flight takes its time to end
        ended.append("ended")


async def thread_name() -> str:
    return threading.current_thread().name


async def test_it_answers_inside_a_running_loop_too(background: Background) -> None:
    assert background.run(thread_name()) == "hardcut"
    assert await background.arun(thread_name()) == "hardcut"


def test_what_is_raised_comes_back(background: Background) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("inside")

    with pytest.raises(ZeroDivisionError, match="inside"):
        background.run(fail())


def test_ctrl_c_ends_the_work_before_it_is_raised(background: Background) -> None:
    ended: list[str] = []
    threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        background.run(slow(ended))
    assert ended == ["ended"]
    assert background.run(thread_name()) == "hardcut", "the loop goes on"


async def test_cancelling_ends_the_work_first(background: Background) -> None:
    ended: list[str] = []
    task = asyncio.create_task(background.arun(slow(ended)))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["ended"]


def test_nobody_waits_for_himself(background: Background) -> None:
    async def inside() -> None:
        background.run(thread_name())

    with pytest.raises(UsageError, match="own loop"):
        background.run(inside())


def test_a_fork_gets_a_loop_of_its_own(background: Background) -> None:
    assert background.run(thread_name()) == "hardcut"
    child = os.fork()
    if not child:
        os._exit(0 if background.run(thread_name()) == "hardcut" else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_nobody_holds_any_more_is_closed(background: Background) -> None:
    class Owner:
        pass

    closed = threading.Event()

    async def close() -> None:
        closed.set()

    owner = Owner()
    background.close_with(owner, close)
    time.sleep(0.1)
    assert not closed.is_set()
    del owner
    gc.collect()
    assert closed.wait(5)
