"""A throw-away table on disk, so that joins over a million records cost no memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from hardcut.engine.scratch import scratch_folder
from hardcut.schemas.errors import RecordError, StorageError

T = TypeVar("T")


class Scratch:
    """Rows of (key, body), read back grouped in the order of keys. Deleted when it is closed.

    `folder` is where the table lies; `None` is the system's folder for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._open = ExitStack()
        with ExitStack() as stack:
            where = stack.enter_context(scratch_folder(folder))
            with _room():
                self._db = sqlite3.connect(where / "scratch.sqlite", isolation_level=None)
                stack.callback(self._db.close)
                for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", "cache_size = -16384"):
                    self._db.execute(f"PRAGMA {pragma}")
                self._db.execute("CREATE TABLE row (key TEXT NOT NULL, body TEXT NOT NULL)")
            self._open = stack.pop_all()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def fill(self, rows: Iterable[tuple[str, str]]) -> None:
        """Adds rows as they come."""
        with _room():
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO row VALUES (?, ?)", rows)
            self._db.execute("COMMIT")

    def groups(self) -> Iterator[tuple[str, list[str]]]:
        """(key, its bodies in the order in which they were added), sorted by key."""
        with _room():  # sorting many rows takes room too
            rows = self._db.execute("SELECT key, body FROM row ORDER BY key, rowid")
        for key, group in groupby(rows, key=lambda row: row[0]):
            yield key, [body for _, body in group]


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(f"no room for temporary tables ({error}): free some space and start again") from error


class Merge(Generic[T]):
    """A stream of (key, value) sorted by key, asked with rising keys: one side of a merge join."""

    def __init__(self, rows: Iterable[tuple[str, T]]) -> None:
        self._rows = iter(rows)
        self._head = next(self._rows, None)
        self._asked = ""

    def __call__(self, key: str) -> T | None:
        """The value at `key`, or `None`. Raises RecordError for a key, on either side, below one before it: its value
        would be lost without a word."""
        self._asked = _rising(self._asked, key)
        while self._head is not None and self._head[0] < key:
            before, self._head = self._head[0], next(self._rows, None)
            if self._head is not None:
                _rising(before, self._head[0])
        return self._head[1] if self._head is not None and self._head[0] == key else None


def _rising(before: str, key: str) -> str:
    if key < before:
        raise RecordError(f"{key} comes after {before}, out of order: sort the records by their ids")
    return key
