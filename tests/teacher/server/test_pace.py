"""The pace against servers that refuse, that slow down and that recover, in simulated and in real time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from statistics import median
from typing import Any

import pytest

from hardcut.schemas.records import Sampling
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.server.openai import OpenAITeacher
from hardcut.teacher.server.pace import Pace, Slot


async def drive(pace: Pace, calls: int, serve: Callable[[], Awaitable[None]]) -> None:
    async def one(turn: Slot) -> None:
        await serve()
        turn.answered("judge")

    await pace.run([one] * calls)


async def test_turns_come_in_order_and_never_more_than_allowed() -> None:
    pace, order, under_way, most = Pace(3, 60.0), [], 0, 0

    async def one(number: int, turn: Slot) -> int:
        nonlocal under_way, most
        order.append(number)
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.002)
        under_way -= 1
        return number

    batches = [[partial(one, number) for number in numbers] for numbers in (range(8), range(8, 8), range(8, 20))]
    results = await asyncio.gather(*map(pace.run, batches))
    assert order == list(range(20)) and most == 3
    assert results == [list(range(8)), [], list(range(8, 20))]


async def test_an_error_is_raised_once_all_have_ended() -> None:
    pace, ended = Pace(2, 60.0), []

    async def one(number: int, turn: Slot) -> None:
        await asyncio.sleep(0.001)
        if number == 1:
            raise KeyError(number)
        ended.append(number)

    with pytest.raises(KeyError):
        await pace.run([partial(one, number) for number in range(6)])
    assert ended == [0, 2, 3, 4, 5]
    await asyncio.wait_for(drive(pace, 4, lambda: asyncio.sleep(0)), 5)


async def test_who_is_tried_again_waits_without_a_turn_and_goes_first() -> None:
    pace, order = Pace(1, 60.0), []

    async def one(name: str, turn: Slot) -> None:
        order.append(name)
        if name == "a":
            turn.give_back()
            await asyncio.sleep(0)
            assert not turn.held
            await turn.take()
            order.append("a again")
        await asyncio.sleep(0.001)

    await pace.run([partial(one, name) for name in "abc"])
    assert order == ["a", "b", "a again", "c"]


async def test_who_gives_up_takes_no_turn_with_him() -> None:
    pace, begun = Pace(1, 60.0), []

    async def one(name: str, turn: Slot) -> None:
        begun.append(name)
        if name == "again":
            turn.give_back()
            await turn.take()
        await asyncio.sleep(60 if name in ("long", "again") else 0)

    async def given_up(*names: str) -> None:
        waiting = asyncio.create_task(pace.run([partial(one, name) for name in names]))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    for names in (["long", "never"], ["again", "long"]):
        begun.clear()
        await given_up(*names)
        assert begun == names[: 1 if "never" in names else 2]
        await asyncio.wait_for(drive(pace, 3, lambda: asyncio.sleep(0)), 5)
    late = asyncio.create_task(drive(pace, 1, lambda: asyncio.sleep(60)))
    await asyncio.sleep(0)
    late.cancel()  # its turn has come, and it has not begun
    await asyncio.wait_for(drive(pace, 3, lambda: asyncio.sleep(0)), 5)


async def test_one_burst_of_refusals_is_one_cut() -> None:
    pace = Pace(64, 60.0, uniform=lambda low, high: 0.0)

    async def one(turn: Slot) -> None:
        await asyncio.sleep(0.01)
        turn.busy()

    await pace.run([one] * 64)
    assert pace.limit == 32, "64 calls sent together and refused together say one thing, once"


async def test_nobody_sends_while_the_server_asks_for_rest() -> None:
    pace = Pace(4, 60.0)

    async def refused(turn: Slot) -> None:
        turn.busy(0.2)

    await pace.run([refused])
    started = time.perf_counter()
    await drive(pace, 1, lambda: asyncio.sleep(0))
    assert time.perf_counter() - started >= 0.19


async def test_a_steady_server_gets_all_it_may() -> None:
    pace = Pace(16, 60.0)
    await drive(pace, 200, lambda: asyncio.sleep(0.003))
    assert pace.limit == 16


async def test_a_server_that_slows_down_is_not_driven_into_time_outs() -> None:
    """Eight at a time, each taking longer and longer: 64 at once would end up waiting past the limit."""
    timeout_s, seconds, room = 1.5, 0.01, asyncio.Semaphore(8)
    pace, slowest = Pace(64, timeout_s), 0.0

    async def serve() -> None:
        nonlocal slowest, seconds
        started = time.perf_counter()
        async with room:
            seconds = min(0.3, seconds * 1.01)
            await asyncio.sleep(seconds)
        slowest = max(slowest, time.perf_counter() - started)

    await drive(pace, 400, serve)
    assert seconds == 0.3, "slow enough that 64 at once wait 2.4 s"
    assert slowest < timeout_s, f"the slowest call took {slowest:.2f} s of {timeout_s} s"


@pytest.mark.timeout(120)
async def test_a_storm_of_429_is_sat_out_and_forgotten_within_ten_seconds(
    teacher_server: Any, inputs: dict[str, Any]
) -> None:
    """Nothing is refused for it, and 90 % of the capacity is reached again."""
    at_once, storm_s = 16, 3.0
    teacher_server.latency_s = 0.2
    teacher_server.answer = lambda body: "<answer>yes</answer>"
    teacher = OpenAITeacher("m", teacher_server.url, concurrency=at_once, attempts=6)
    numbers, ended, replies = iter(range(10**6)), False, []

    async def work() -> None:
        while not ended:
            query = f"query {next(numbers)}"
            (outcome,) = await CachedTeacher(teacher).complete(
                [Request("judge", {**inputs["judge"], "query": query}, Sampling())]
            )
            replies.append(outcome)

    async def watch(seconds: float) -> float:
        """The most calls that the server had at once over half a second or more."""
        best, until, last = 0.0, time.perf_counter() + seconds, deque[int](maxlen=10)
        while time.perf_counter() < until:
            last.append(teacher_server.in_flight)
            if len(last) == 10:
                best = max(best, median(last))
            await asyncio.sleep(0.05)
        return best

    workers = [asyncio.create_task(work()) for _ in range(3 * at_once)]  # as in a run, more wait than may be sent
    try:
        before = await watch(2.0)
        teacher_server.refuse(storm_s)
        await asyncio.sleep(storm_s)
        after = await watch(10.0)
    finally:
        ended = True
        await asyncio.gather(*workers)
        await teacher.close()
    assert all(isinstance(outcome, Reply) for outcome in replies), "a storm costs time and no item"
    assert before >= 0.5 * at_once
    assert after >= 0.9 * before, f"{after:.0f} calls at once after the storm, {before:.0f} before it"
    assert teacher_server.refused < 100, "it is not hammered while it refuses"
