"""A hard stop for what costs money, over all starts of a run."""

from __future__ import annotations

import sqlite3
from contextvars import ContextVar

from hardcut.engine.ledger import Ledger
from hardcut.schemas.errors import BudgetReached

current_stage: ContextVar[str] = ContextVar("current_stage")
"""The name of the stage that is running, set by the engine: whoever spends books it there. Threads started with
`asyncio.to_thread` see it, worker processes do not."""


class CallBudget:
    """At most `limit` calls (`None`: any number), booked in the run's ledger before they are sent.

    A call in flight when the process is killed therefore counts as spent, and no sequence of kills and starts gets
    past the limit.
    """

    def __init__(self, ledger: Ledger, limit: int | None) -> None:
        self._ledger = ledger
        self._limit = limit

    async def reserve(self, stage: str, teacher: str, calls: int = 1) -> None:
        """Books calls; returns when the booking is on the disk. Raises BudgetReached, and books nothing, past the
        limit."""

        def write(connection: sqlite3.Connection) -> None:
            spent = connection.execute("SELECT coalesce(sum(calls), 0) FROM spend").fetchone()[0]
            if self._limit is not None and spent + calls > self._limit:
                raise BudgetReached(
                    f"{spent} of {self._limit} teacher calls are spent and {calls} more would pass the budget: "
                    "raise budget.calls and start again to go on"
                )
            _book(connection, stage, teacher, calls, 0, 0)

        await self._ledger.database.write(write)

    async def release(self, stage: str, teacher: str, calls: int = 1) -> None:
        """Takes a booking back, for calls that were certainly never sent."""
        await self._ledger.database.write(lambda connection: _book(connection, stage, teacher, -calls, 0, 0))

    async def spent(self, stage: str, teacher: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Adds the tokens that a call took."""
        await self._ledger.database.write(
            lambda connection: _book(connection, stage, teacher, 0, prompt_tokens, completion_tokens)
        )


def _book(connection: sqlite3.Connection, stage: str, teacher: str, calls: int, prompt: int, completion: int) -> None:
    connection.execute(
        "INSERT INTO spend VALUES (?, ?, ?, ?, ?) ON CONFLICT (stage, teacher) DO UPDATE SET "
        "calls = calls + excluded.calls, prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
        "completion_tokens = completion_tokens + excluded.completion_tokens",
        (stage, teacher, calls, prompt, completion),
    )
