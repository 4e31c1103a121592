"""A hard stop for what costs money, over all starts of a run."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial

from hardcut.engine.activity import Activity
from hardcut.engine.checksums import stamp
from hardcut.engine.ledger import Ledger
from hardcut.schemas.errors import BudgetReached
from hardcut.schemas.records import Tokens
from hardcut.schemas.resources import Budget
from hardcut.schemas.teachers import Price

current_stage: ContextVar[str] = ContextVar("current_stage")
"""The name of the stage that is running, set by the engine: each call is booked there before it is sent. Threads
started with `asyncio.to_thread` see it, worker processes do not."""

_AHEAD = 128
"""Calls that are booked at most before anybody wants to send them."""
_WRITTEN_AFTER_S = 0.5
_SHARE = 64
"""One part in so many of what is left is booked ahead: the closer to the limit, the less."""

Account = tuple[str, str]
"""A stage and a teacher."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls took: tokens, those of them that nobody has counted, and seconds of sound."""

    prompt: int = 0
    completion: int = 0
    estimated_prompt: int = 0
    estimated_completion: int = 0
    sound_s: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.estimated_prompt + other.estimated_prompt,
            self.estimated_completion + other.estimated_completion,
            self.sound_s + other.sound_s,
        )

    def cost(self, price: Price, minute: float) -> float:
        """At the price of tokens and of a minute of sound."""
        return price.cost(self.prompt, self.completion) + self.sound_s / 60 * minute


class CallBudget:
    """What teachers took in a run, and at most `limits` of it.

    *Calls* are booked in the run's ledger before they are sent, so no sequence of kills and starts gets past the
    limit. They are booked a few ahead, so that no call waits for the disk: of a process that is killed, what was in
    flight and what was booked ahead (at most 128, near the limit none) counts as spent; `close` gives the rest back.

    *Tokens* and *money* are known only afterwards: nothing is sent any more once they have reached their limit, so
    they pass it by what was in flight. They are written with the next booking or after 0.5 s, and a kill loses what was
    not yet written.

    `activity` counts the calls of this process.
    """

    def __init__(self, ledger: Ledger, limits: Budget | None = None) -> None:
        self.activity = Activity()
        self._ledger = ledger
        self._limits = limits or Budget()
        self._prices: dict[str, tuple[Price, float]] = {}
        self._booked = 0
        self._taken: defaultdict[str, Usage] = defaultdict(Usage)
        for teacher, calls, *taken in ledger.database.read(
            "SELECT teacher, sum(calls), sum(prompt_tokens), sum(completion_tokens), sum(estimated_prompt_tokens), "
            "sum(estimated_completion_tokens), sum(sound_s) FROM spend GROUP BY teacher"
        ):
            self._booked += calls
            self._taken[teacher] = Usage(*taken)
        self._ahead: Counter[Account] = Counter()
        self._waiting: Counter[Account] = Counter()
        self._booking = asyncio.Lock()
        self._refill: asyncio.Task[None] | None = None
        self._unwritten: defaultdict[Account, Usage] = defaultdict(Usage)
        self._oldest_unwritten = 0.0
        self._writing: asyncio.Task[None] | None = None

    def charge(
        self,
        teacher: str,
        price: Price,
        *,
        minute: float = 0.0,
        is_called: Callable[[str], bool] = lambda booked: False,
    ) -> None:
        """Counts at this price what `teacher` took and will take, and a minute of sound at `minute`. `is_called`
        recognises the teacher's name where an earlier start has booked it under another spelling."""
        for name in {teacher, *filter(is_called, self._taken)}:
            self._prices[name] = price, minute

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
        self.activity.sent()
        if self._ahead[account] < self._block() // 2 and (self._refill is None or self._refill.done()):
            self._refill = asyncio.create_task(self._book(account, self._block() // 2))
            self._refill.add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )  # the next caller meets it

    def release(self, stage: str, teacher: str) -> None:
        """Takes a call back that was certainly never sent."""
        self.activity.taken_back()
        self._ahead[stage, teacher] += 1

    def spent(
        self, stage: str, teacher: str, prompt_tokens: int, completion_tokens: int, *, estimated: bool = False
    ) -> None:
        """Adds the tokens that a call took; `estimated` where nobody has counted them. Raises what went wrong when
        earlier ones were written. Needs a running event loop."""
        counts = prompt_tokens, completion_tokens
        self.activity.ended(*counts)
        self._add(stage, teacher, Usage(*counts, *counts) if estimated else Usage(*counts))

    def heard(self, stage: str, teacher: str, sound_s: float) -> None:
        """Adds the seconds of sound that a call was about. As `spent`."""
        self.activity.ended()
        self._add(stage, teacher, Usage(sound_s=sound_s))

    def _add(self, stage: str, teacher: str, taken: Usage) -> None:
        if not self._unwritten:
            self._oldest_unwritten = time.monotonic()
        self._taken[teacher] += taken
        self._unwritten[stage, teacher] += taken
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_tokens())

    async def _write_tokens(self) -> None:
        """Counts that no booking writes in time."""
        while self._unwritten:
            early = self._oldest_unwritten + _WRITTEN_AFTER_S - time.monotonic()
            if early > 0:
                await asyncio.sleep(early)
            else:
                await self._ledger.database.write(partial(_book_tokens, self._take_unwritten()))

    def _take_unwritten(self) -> dict[Account, Usage]:
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
            tokens = sum(taken.prompt + taken.completion for taken in self._taken.values())
            if tokens >= self._limits.tokens:
                raise BudgetReached(
                    f"{tokens:,} tokens are spent{self._estimated()}, {self._limits.tokens:,} are allowed: raise "
                    "budget.tokens and start again to go on"
                )
        if self._limits.money is not None:
            money = sum(self._taken[teacher].cost(*prices) for teacher, prices in self._prices.items())
            if money >= self._limits.money:
                raise BudgetReached(
                    f"{money:.2f} is spent{self._estimated()}, {self._limits.money:.2f} is allowed: raise budget.money "
                    "and start again to go on"
                )

    def _estimated(self) -> str:
        """What is to be said where nobody has counted some of the tokens."""
        tokens = sum(taken.estimated_prompt + taken.estimated_completion for taken in self._taken.values())
        return f" ({tokens:,} tokens of it are an estimate: the server does not count them)" if tokens else ""

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


class BookedCalls:
    """Books the calls to one teacher in the stage that was running when this was made. Nothing without a budget."""

    def __init__(self, budget: CallBudget | None, teacher: str) -> None:
        self.budget = budget
        self.stage = current_stage.get() if budget else ""
        self.teacher = teacher

    async def sending(self) -> None:
        """Before each call. Raises BudgetReached."""
        if self.budget:
            await self.budget.reserve(self.stage, self.teacher)

    def unsent(self) -> None:
        """A call that was announced certainly never reached anybody."""
        if self.budget:
            self.budget.release(self.stage, self.teacher)

    def received(self, tokens: Tokens, estimated: bool = False) -> None:
        """What a call took; `estimated` where nobody has counted it."""
        if self.budget:
            self.budget.spent(self.stage, self.teacher, tokens.prompt, tokens.completion, estimated=estimated)

    def heard(self, sound_s: float) -> None:
        """Seconds of sound that a call was about."""
        if self.budget:
            self.budget.heard(self.stage, self.teacher, sound_s)


def _book_calls(account: Account, calls: int, connection: sqlite3.Connection) -> None:
    _book(connection, account, calls, Usage())


def _book_tokens(taken: Mapping[Account, Usage], connection: sqlite3.Connection) -> None:
    for account, each in taken.items():
        _book(connection, account, 0, each)


def _book(connection: sqlite3.Connection, account: Account, calls: int, taken: Usage) -> None:
    columns = {
        "calls": calls,
        "prompt_tokens": taken.prompt,
        "completion_tokens": taken.completion,
        "estimated_prompt_tokens": taken.estimated_prompt,
        "estimated_completion_tokens": taken.estimated_completion,
        "sound_s": taken.sound_s,
    }
    added = ", ".join(f"{column} = {column} + excluded.{column}" for column in columns)
    connection.execute(
        f"INSERT INTO spend (stage, teacher, {', '.join(columns)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        f"ON CONFLICT (stage, teacher) DO UPDATE SET {added}",
        (*account, *columns.values()),
    )
    stamp(connection, "spend", "stage = ? AND teacher = ?", account)
