"""A hard stop for what costs money, over all starts of a run."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial

from hardcut.engine.checksums import stamp
from hardcut.engine.ledger import Ledger
from hardcut.schemas.errors import BudgetReached
from hardcut.schemas.settings import Budget, Price

current_stage: ContextVar[str] = ContextVar("current_stage")
"""The name of the stage that is running, set by the engine: whoever spends books it there. Threads started with
`asyncio.to_thread` see it, worker processes do not."""

_AHEAD = 128
"""Calls that are booked at most before anybody wants to send them."""
_WRITTEN_AFTER_S = 0.5
_SHARE = 64
"""One part in so many of what is left is booked ahead: the closer to the limit, the less."""

Account = tuple[str, str]
"""A stage and a teacher."""


class CallBudget:
    """What teachers took in a run, and at most `limits` of it.

    *Calls* are booked in the run's ledger before they are sent, so no sequence of kills and starts gets past the
    limit. They are booked a few ahead, so that no call waits for the disk: of a process that is killed, what was in
    flight and what was booked ahead (at most 128, near the limit none) counts as spent; `close` gives the rest back.

    *Tokens* and *money* are known only afterwards: nothing is sent any more once they have reached their limit, so
    they pass it by what was in flight. They are written with the next booking or after 0.5 s, and a kill loses what was
    not yet written.
    """

    def __init__(self, ledger: Ledger, limits: Budget | None = None) -> None:
        self._ledger = ledger
        self._limits = limits or Budget()
        self._prices: dict[str, Price] = {}
        self._booked = 0
        self._taken: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        for teacher, calls, prompt, completion in ledger.database.read(
            "SELECT teacher, sum(calls), sum(prompt_tokens), sum(completion_tokens) FROM spend GROUP BY teacher"
        ):
            self._booked += calls
            self._taken[teacher] = [prompt, completion]
        self._ahead: Counter[Account] = Counter()
        self._waiting: Counter[Account] = Counter()
        self._booking = asyncio.Lock()
        self._refill: asyncio.Task[None] | None = None
        self._unwritten: defaultdict[Account, list[int]] = defaultdict(lambda: [0, 0])
        self._oldest_unwritten = 0.0
        self._writing: asyncio.Task[None] | None = None

    def charge(self, teacher: str, price: Price, *, is_called: Callable[[str], bool] = lambda booked: False) -> None:
        """What `teacher` took and will take is counted at this price, whatever it was called (`is_called`) when it was
        booked by an earlier start."""
        for name in {teacher, *filter(is_called, self._taken)}:
            self._prices[name] = price

    async def reserve(self, stage: str, teacher: str) -> None:
        """Allows one call; it is booked on the disk. Raises BudgetReached past a limit."""
        self._check_taken()
        account = stage, teacher
        if not self._ahead[account]:
            self._waiting[account] += 1
            try:
                while not self._ahead[account]:
                    await self._book(account)
            finally:
                self._waiting[account] -= 1
        self._ahead[account] -= 1
        if self._ahead[account] < self._block() // 2 and (self._refill is None or self._refill.done()):
            self._refill = asyncio.create_task(self._book(account, self._block() // 2))
            self._refill.add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )  # the next caller meets it

    def release(self, stage: str, teacher: str) -> None:
        """Takes a call back that was certainly never sent."""
        self._ahead[stage, teacher] += 1

    def spent(
        self, stage: str, teacher: str, prompt_tokens: int, completion_tokens: int, *, estimated: bool = False
    ) -> None:
        """Adds the tokens that a call took. Raises what went wrong when earlier ones were written. Needs a running
        event loop."""
        if not self._unwritten:
            self._oldest_unwritten = time.monotonic()
        for sums in (self._taken[teacher], self._unwritten[stage, teacher]):
            sums[0] += prompt_tokens
            sums[1] += completion_tokens
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_tokens())

    async def _write_tokens(self) -> None:
        """Those that no booking takes along in time."""
        while self._unwritten:
            early = self._oldest_unwritten + _WRITTEN_AFTER_S - time.monotonic()
            if early > 0:
                await asyncio.sleep(early)
            else:
                await self._ledger.database.write(partial(_book_tokens, self._take_unwritten()))

    def _take_unwritten(self) -> dict[Account, list[int]]:
        taken = dict(self._unwritten)
        self._unwritten.clear()
        return taken

    async def close(self) -> None:
        """Writes what is not yet written and gives back what was booked ahead. The budget can be used on."""
        if self._writing is not None:
            await self._writing
            self._writing = None
        async with self._booking:
            await self._give_back(list(self._ahead))

    def _check_taken(self) -> None:
        if self._limits.tokens is not None:
            tokens = sum(map(sum, self._taken.values()))
            if tokens >= self._limits.tokens:
                raise BudgetReached(
                    f"{tokens:,} tokens are spent, {self._limits.tokens:,} are allowed: raise budget.tokens and start "
                    "again to go on"
                )
        if self._limits.money is not None:
            money = sum(price.cost(*self._taken[teacher]) for teacher, price in self._prices.items())
            if money >= self._limits.money:
                raise BudgetReached(
                    f"{money:.2f} is spent, {self._limits.money:.2f} is allowed: raise budget.money and start again to "
                    "go on"
                )

    def _left(self) -> int | None:
        return None if self._limits.calls is None else self._limits.calls - self._booked

    def _block(self) -> int:
        left = self._left()
        return _AHEAD if left is None else min(_AHEAD, max(left, 0) // _SHARE)

    async def _book(self, account: Account, enough: int = 1) -> None:
        """Books calls for everybody who waits, and a few ahead."""
        async with self._booking:
            if self._ahead[account] >= enough:
                return
            left = self._left()
            if left is not None and left <= 0:
                await self._give_back([other for other in self._ahead if other != account])
                left = self._left() or 0
                if left <= 0:
                    raise BudgetReached(
                        f"{self._booked} of {self._limits.calls} teacher calls are spent: raise budget.calls and start "
                        "again to go on"
                    )
            calls = self._waiting[account] + self._block() - self._ahead[account]
            calls = max(1, calls if left is None else min(calls, left))
            self._booked += calls  # before it is on the disk, so that a booking that fails can only cost
            taken = self._take_unwritten()

            def write(connection: sqlite3.Connection) -> None:
                _book_calls(account, calls, connection)
                _book_tokens(taken, connection)

            await self._ledger.database.write(write)
            self._ahead[account] += calls

    async def _give_back(self, accounts: Sequence[Account]) -> None:
        for account in accounts:
            calls = self._ahead.pop(account, 0)
            if calls:
                await self._ledger.database.write(partial(_book_calls, account, -calls))
                self._booked -= calls


def _book_calls(account: Account, calls: int, connection: sqlite3.Connection) -> None:
    _book(connection, *account, calls, 0, 0)


def _book_tokens(taken: Mapping[Account, Sequence[int]], connection: sqlite3.Connection) -> None:
    for account, (prompt, completion) in taken.items():
        _book(connection, *account, 0, prompt, completion)


def _book(connection: sqlite3.Connection, stage: str, teacher: str, calls: int, prompt: int, completion: int) -> None:
    connection.execute(
        "INSERT INTO spend (stage, teacher, calls, prompt_tokens, completion_tokens) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (stage, teacher) DO UPDATE SET "
        "calls = calls + excluded.calls, prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
        "completion_tokens = completion_tokens + excluded.completion_tokens",
        (stage, teacher, calls, prompt, completion),
    )
    stamp(connection, "spend", "stage = ? AND teacher = ?", (stage, teacher))
