"""How many calls a server is sent at once: as many as are allowed, fewer while it says or shows that it is too many.

Additive increase, multiplicative decrease, as in TCP (Chiu & Jain 1989): every round (as many answers as calls are
allowed) without trouble allows a quarter more; trouble cuts, once a round. Trouble is

* a refusal for being busy (429, 503) or a time-out: half as many, and nobody sends for as long as the server asks
  (Retry-After), otherwise for a time that doubles with every cut in a row;
* answers that take half of the time after which they would be given up: half as many;
* answers that take more than twice as long as they used to, for the same kind of request: a quarter fewer. What they
  used to take follows slowly, so that a server that stays slower is not held down for good.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from statistics import median

_GROWTH = 1.25
_SLOWER = 2.0
_FOLLOW = 0.2
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0
_LONGEST_ASKED_S = 300.0
_LEAST_ROUND = 8
"""Answers of which a median says anything."""


class Pace:
    """At most `most` calls at once, first come first served. `timeout_s` is when a call is given up.

    Use: `async with pace.slot() as slot:` around a call; then `slot.answered(kind)` or `slot.busy(retry_after_s)`.
    """

    def __init__(
        self, most: int, timeout_s: float, *, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._most = most
        self._limit = float(most)
        self._timeout_s = timeout_s
        self._uniform = uniform
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed_until = 0.0
        self._wake: asyncio.TimerHandle | None = None
        self._cuts = 0
        self._last_cut = -1.0
        self._usual: dict[str, float] = {}
        self._round: list[float] = []

    @property
    def limit(self) -> int:
        """How many calls are allowed at present."""
        return int(self._limit)

    def slot(self) -> Slot:
        """A turn: waited for on entering; who waits has not begun, and its time does not run."""
        return Slot(self)

    def leave(self) -> None:
        """A turn is over."""
        self._under_way -= 1
        self._admit()

    async def enter(self) -> None:
        """Waits for a turn."""
        if not self._waiting and self._open():
            self._under_way += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was our turn already: pass it on
                self._under_way -= 1
                self._admit()
            else:
                self._waiting.remove(turn)
            raise

    def _open(self) -> bool:
        return self._under_way < self.limit and asyncio.get_running_loop().time() >= self._closed_until

    def _admit(self) -> None:
        """Gives turns to those who wait, as many as are allowed."""
        while self._waiting and self._open():
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._under_way += 1
                turn.set_result(None)
        loop = asyncio.get_running_loop()
        if self._waiting and self._wake is None and self._closed_until > loop.time():
            self._wake = loop.call_at(self._closed_until, self._woken)

    def _woken(self) -> None:
        self._wake = None
        self._admit()

    def answered(self, kind: str, began: float) -> None:
        """A call of this kind was answered."""
        now = asyncio.get_running_loop().time()
        if began <= self._last_cut:  # sent before the cut: says nothing of how things are after it
            return
        self._round.append(now - began)
        if now - began > self._timeout_s / 2:
            self._cut(0.5, now)
        elif len(self._round) >= max(self.limit, _LEAST_ROUND if self._limit > 2 else 1):
            self._end_of_round(kind, now)

    def busy(self, began: float, retry_after_s: float | None) -> None:
        """A call was refused because the server has too much to do, or was given up."""
        now = asyncio.get_running_loop().time()
        if began > self._last_cut:
            self._cuts += 1
            self._cut(0.5, now)
        if retry_after_s is None:
            longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (self._cuts - 1))
            pause_until = self._last_cut + self._uniform(longest / 2, longest)
        else:
            pause_until = now + min(retry_after_s, _LONGEST_ASKED_S)
        self._closed_until = max(self._closed_until, pause_until)

    def _end_of_round(self, kind: str, now: float) -> None:
        took, self._round = median(self._round), []
        usual = self._usual.get(kind)
        self._usual[kind] = took if usual is None or took < usual else usual + _FOLLOW * (took - usual)
        if usual is not None and took > _SLOWER * usual:
            self._cut(0.75, now)
            return
        self._cuts = 0
        self._limit = min(float(self._most), self._limit * _GROWTH + 1)

    def _cut(self, factor: float, now: float) -> None:
        self._limit = max(1.0, self._limit * factor)
        self._last_cut = now
        self._round = []


class Slot:
    """A call's turn."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._began = 0.0

    async def __aenter__(self) -> Slot:
        await self._pace.enter()
        self._began = asyncio.get_running_loop().time()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pace.leave()

    def answered(self, kind: str) -> None:
        """The server answered; `kind` tells apart what takes unlike times."""
        self._pace.answered(kind, self._began)

    def busy(self, retry_after_s: float | None = None) -> None:
        """The server has too much to do."""
        self._pace.busy(self._began, retry_after_s)
