"""Retries: what is tried again, how often and how long it waits."""

from __future__ import annotations

import asyncio

import pytest

from hardcut.engine.retry import Transient, with_retries


class World:
    """Fails as told, and notes every wait instead of waiting."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0
        self.waits: list[float] = []
        self.retries: list[Transient] = []

    async def call(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "reply"

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def run(self, attempts: int, **options: object) -> str:
        upper = {"uniform": lambda low, high: high} | options
        return await with_retries(self.call, attempts=attempts, sleep=self.sleep, on_retry=self.retries.append, **upper)


async def test_backs_off_with_jitter_up_to_a_cap():
    world = World(*[Transient("503")] * 8)
    assert await world.run(9, base_s=0.5, max_wait_s=10) == "reply"
    assert world.waits == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert world.calls == 9 and len(world.retries) == 8
    lower = World(*[Transient("503")] * 3)
    await lower.run(4, uniform=lambda low, high: low)
    assert lower.waits == [0, 0, 0]


async def test_honours_retry_after_within_reason():
    world = World(Transient("429", 7.0), Transient("429", 86_400.0), Transient("429", -1.0))
    assert await world.run(4, base_s=0.5, max_retry_after_s=300, uniform=lambda low, high: low) == "reply"
    assert world.waits == [7.0, 300.0, 0.0]


async def test_gives_up_with_the_last_error():
    world = World(Transient("first"), Transient("second"), Transient("third"))
    with pytest.raises(Transient, match="second"):
        await world.run(2)
    assert world.calls == 2 and len(world.waits) == 1


async def test_other_errors_are_final():
    world = World(ValueError("wrong schema"))
    with pytest.raises(ValueError, match="wrong schema"):
        await world.run(5)
    assert world.calls == 1 and world.waits == []


async def test_cancelling_ends_the_waiting():
    async def down() -> None:
        raise Transient("down", 100.0)

    task = asyncio.create_task(with_retries(down, attempts=3))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
