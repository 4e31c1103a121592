"""How many calls a server is sent at once: as many as are allowed, fewer while it says or shows that it is too many.

Additive increase, multiplicative decrease, as in TCP (Chiu & Jain 1989): as many answers as calls are allowed, without
trouble, allow a quarter more; trouble cuts, and is then not looked for in calls that were sent before. Trouble is

* a refusal for being busy (429, 503) or a time-out: half as many, and nobody sends for as long as the server asks
  (Retry-After), otherwise for a time that doubles with every cut in a row;
* answers that take half of the time after which they would be given up: half as many;
* answers that take more than twice as long as they used to, for the same kind of request: fewer in that proportion, at
  most half. What they used to take follows slowly, so that a server that stays slower is not held down for good.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from statistics import median
from time import monotonic
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

_GROWTH = 0.25
_SLOWER = 2.0
_NOTICED_S = 0.1
_FOLLOW = 0.2
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0
_LONGEST_ASKED_S = 60.0
_LEAST_ROUND = 8
"""Answers that are looked at together at least, where so many are allowed."""


class Pace:
    """At most `most` calls at once, first come first served; those that are tried again go first. `timeout_s` is when a
    call is given up."""

    def __init__(
        self, most: int, timeout_s: float, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._most = most
        self._limit = float(most)
        self._timeout_s = timeout_s
        self._uniform = uniform
        self._under_way = 0
        self._waiting: deque[_Job] = deque()
        self._again: deque[asyncio.Future[None]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._closed_until = 0.0
        self._wake: asyncio.TimerHandle | None = None
        self._cuts = 0
        self._last_cut = -1.0
        self._usual: dict[str, float] = {}
        self._rounds: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def limit(self) -> int:
        """How many calls are allowed at present."""
        return int(self._limit)

    @property
    def idle(self) -> bool:
        """Whether nobody has a turn."""
        return not self._under_way

    async def run(self, calls: Sequence[Callable[[Slot], Awaitable[T]]]) -> list[T]:
        """What each of the calls returns, in order. They begin in order, each when its turn comes, in a task and an
        empty context that are not the caller's: a lane goes on with the next call where one has ended, which costs a
        third less than a task for each. Where some raise, the first error is raised once all have ended."""
        batch = _Batch[T]([None] * len(calls), len(calls), asyncio.get_running_loop().create_future())
        self._waiting.extend(_Job(batch, at, call) for at, call in enumerate(calls))
        self._admit()
        try:
            if calls:
                await batch.ended
        except asyncio.CancelledError:
            for lane in batch.lanes:
                lane.cancel()
            raise
        for result in batch.results:
            if isinstance(result, Exception):
                raise result
        return cast(list[T], batch.results)

    async def enter(self) -> None:
        """Waits for a turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._again.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was our turn already: pass it on
                self.leave()
            raise

    def leave(self) -> None:
        """A turn is over."""
        self._under_way -= 1
        self._admit()

    async def _lane(self, job: _Job) -> None:
        """Carries out this call, and then others for as long as more are allowed."""
        lane = asyncio.current_task()
        assert lane
        while True:
            batch, turn = job.batch, Slot(self)
            batch.lanes.add(lane)
            try:
                if not batch.ended.cancelled():
                    batch.results[job.at] = await job.call(turn)
            except Exception as error:  # noqa: BLE001 - `run` raises it
                batch.results[job.at] = error
            except asyncio.CancelledError:
                batch.ended.cancel()
                turn.give_back()
                raise
            batch.lanes.remove(lane)
            batch.left -= 1
            if not batch.left and not batch.ended.done():
                batch.ended.set_result(None)
            if not turn.held:
                return None
            self._under_way -= 1
            if self._again or not self._waiting or not self._open():
                return self._admit()
            self._under_way += 1
            job = self._waiting.popleft()

    def _open(self) -> bool:
        return self._under_way < self.limit and monotonic() >= self._closed_until

    def _admit(self) -> None:
        """Gives turns to those who wait, as many as are allowed."""
        while (self._again or self._waiting) and self._open():
            if self._again:
                turn = self._again.popleft()
                if not turn.cancelled():
                    self._under_way += 1
                    turn.set_result(None)
            else:
                self._under_way += 1
                lane = asyncio.create_task(self._lane(self._waiting.popleft()), context=Context())
                self._lanes.add(lane)
                lane.add_done_callback(self._lanes.discard)
        pause = self._closed_until - monotonic()
        if (self._again or self._waiting) and self._wake is None and pause > 0:
            self._wake = asyncio.get_running_loop().call_later(pause, self._woken)

    def _woken(self) -> None:
        self._wake = None
        self._admit()

    def answered(self, kind: str, began: float) -> None:
        """A call of this kind was answered."""
        now = monotonic()
        if began <= self._last_cut:  # sent before the cut: says nothing of how things are after it
            return
        round_ = self._rounds[kind]
        round_.append(now - began)
        if now - began > self._timeout_s / 2:
            self._cut(0.5, now)
        elif len(round_) >= min(self.limit, max(_LEAST_ROUND, self.limit // 4)):
            self._look(kind, now)

    def busy(self, began: float, retry_after_s: float | None) -> None:
        """A call was refused because the server has too much to do, or was given up."""
        now = monotonic()
        if began > self._last_cut:
            self._cuts += 1
            self._cut(0.5, now)
        if retry_after_s is None:
            longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (self._cuts - 1))
            pause_until = self._last_cut + self._uniform(longest / 2, longest)
        else:
            pause_until = now + min(retry_after_s, _LONGEST_ASKED_S)
        self._closed_until = max(self._closed_until, pause_until)

    def _look(self, kind: str, now: float) -> None:
        times = self._rounds.pop(kind)
        took = median(times)
        usual = self._usual.get(kind)
        self._usual[kind] = took if usual is None or took < usual else usual + _FOLLOW * (took - usual)
        if usual is not None and took > _SLOWER * usual and took > usual + _NOTICED_S:
            self._cut(max(0.5, _SLOWER * usual / took), now)
            return
        self._cuts = 0
        self._limit = min(float(self._most), self._limit + max(1.0, _GROWTH * len(times)))

    def _cut(self, factor: float, now: float) -> None:
        self._limit = max(1.0, self._limit * factor)
        self._last_cut = now
        self._rounds.clear()


class Slot:
    """A call's turn, which it gives back while it waits to be tried again. Who waits has not begun, and its time does
    not run."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._began = monotonic()
        self.held = True

    async def take(self) -> None:
        """Waits for a turn where it has none."""
        if not self.held:
            await self._pace.enter()
            self.held = True
            self._began = monotonic()

    def give_back(self) -> None:
        """Lets others go on."""
        if self.held:
            self.held = False
            self._pace.leave()

    def answered(self, kind: str) -> None:
        """The server answered; `kind` tells apart what takes unlike times."""
        self._pace.answered(kind, self._began)

    def busy(self, retry_after_s: float | None = None) -> None:
        """The server has too much to do."""
        self._pace.busy(self._began, retry_after_s)


@dataclass(slots=True, eq=False)
class _Batch(Generic[T]):
    """Calls that are waited for together."""

    results: list[T | Exception | None]
    left: int
    ended: asyncio.Future[None]
    lanes: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Job:
    """A call whose turn has not come."""

    batch: _Batch[Any]
    at: int
    call: Callable[[Slot], Awaitable[Any]]
