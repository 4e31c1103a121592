"""Many small writes of one event loop, gathered into few."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Generic, TypeVar

from hardcut.engine.database import Database

T = TypeVar("T")


class BatchWriter(Generic[T]):
    """Writes with `write(connection, items)` all that was added while the write before was under way.

    The database groups its commits already; this saves the way to its thread and back for each item, which is most of
    what a small write costs (measured: 0.15 ms of CPU alone, 0.02 ms among 64).
    """

    def __init__(self, database: Database, write: Callable[[sqlite3.Connection, list[T]], None]) -> None:
        self._database = database
        self._write = write
        self._items: list[T] = []
        self._gathering: asyncio.Task[None] | None = None
        self._under_way: asyncio.Task[None] | None = None

    async def add(self, item: T) -> None:
        """Returns when `item` is on the disk. Raises StorageError. Cancelling stops the waiting, not the write."""
        self._items.append(item)
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(self._flush(self._under_way))
            self._gathering.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._gathering)

    async def _flush(self, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        items, self._items = self._items, []
        self._under_way, self._gathering = self._gathering, None
        await self._database.write(lambda connection: self._write(connection, items))
