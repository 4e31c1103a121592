"""Replies that were paid for once and are kept for every later run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from hardcut.engine.batch import BatchWriter
from hardcut.engine.database import Database
from hardcut.engine.files import storage_error

_SCHEMA = "CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, body TEXT NOT NULL)"
_PAGE = 500


class ReplyCache:
    """A file of replies by key, shared by processes and runs. What the key covers is the caller's business.

    Raises StorageError where the file is damaged or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(path, error) from error
        self._database = Database(
            path, schema=_SCHEMA, version=1, if_damaged="delete it; the replies that it kept will be asked for again"
        )
        self._puts: BatchWriter[tuple[str, str]] = BatchWriter(self._database, _put)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def get(self, key: str) -> str | None:
        """The body that was put under `key`."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The bodies of those keys that are there."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), _PAGE):
            page = tuple(keys[start : start + _PAGE])
            marks = ",".join("?" * len(page))
            found.update(map(tuple, self._database.read(f"SELECT key, body FROM reply WHERE key IN ({marks})", page)))
        return found

    async def put(self, key: str, body: str) -> None:
        """Keeps `body`; it is on the disk when this returns. An earlier body of the same key is replaced."""
        await self._puts.add((key, body))


def _put(connection: sqlite3.Connection, replies: list[tuple[str, str]]) -> None:
    connection.executemany("INSERT OR REPLACE INTO reply VALUES (?, ?)", replies)
