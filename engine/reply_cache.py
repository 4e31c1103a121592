"""Replies that were paid for once and are kept for every later run."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from hardcut.engine import claims, reply_uses
from hardcut.engine.claims import Claims
from hardcut.engine.closing import Closing
from hardcut.engine.database import Database, Layout, statements
from hardcut.engine.file_locks import require_locks
from hardcut.engine.files import storage_error
from hardcut.engine.reply_uses import ReplyUses
from hardcut.schemas.errors import StorageError

_log = logging.getLogger(__name__)

_SCRIPT = f"""
CREATE TABLE reply (key TEXT PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL);
{claims.SCRIPT.strip()}
{reply_uses.SCRIPT.strip()}
"""
_PUT = "INSERT OR REPLACE INTO reply (key, body, digest) VALUES (?, ?, ?)"
_PAGE = 500
_FLUSHED_AFTER_S = 0.25
_TOGETHER_S = 0.001

_Row = tuple[str, str, str]
_Put = tuple[asyncio.Future[None], _Row]
"""Who waits for it, and the row."""


def _add_digests(connection: sqlite3.Connection) -> None:
    """From layout 1, of version 26e4c37."""
    connection.execute("ALTER TABLE reply ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
    last = connection.execute("SELECT coalesce(max(rowid), 0) FROM reply").fetchone()[0]
    for first in range(1, last + 1, _PAGE):
        page = (first, first + _PAGE - 1)
        rows = connection.execute("SELECT key, body FROM reply WHERE rowid BETWEEN ? AND ?", page).fetchall()
        digests = [(_digest(key, body), key) for key, body in rows]
        connection.executemany("UPDATE reply SET digest = ? WHERE key = ?", digests)
    for statement in statements(claims.SCRIPT):
        connection.execute(statement)


def _add_uses(connection: sqlite3.Connection) -> None:
    """From layout 2, where nobody noted who uses a reply."""
    reply_uses.add_uses(connection, statements(reply_uses.SCRIPT))


_LAYOUT = Layout(3, _SCRIPT, "reply", {1: _add_digests, 2: _add_uses})


class ReplyCache(Closing):
    """A file of replies by key, shared by processes and runs. What the key covers is the caller's business.

    What was put is read by everybody at once, survives the end of the process, and is on the disk 0.25 s later: a power
    cut costs what was put since. A reply that is not what was put any more is none, and a line says so. `claims` tell
    who asks what at the moment, `uses` which run asked what. Raises StorageError where the file is damaged or cannot
    be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            require_locks(path.parent, new=not path.exists())
        except OSError as error:
            raise storage_error(path, error) from error
        self._database = Database(
            path,
            layout=_LAYOUT,
            if_damaged="delete it; the replies that it kept will be asked for again",
            flushed=False,
        )
        self.claims = Claims(self._database)
        self.uses = ReplyUses(self._database)
        self._rejected: dict[str, str] = {}
        self._unflushed, self._closing = threading.Event(), threading.Event()
        self._together: list[_Put] = []
        self._behind: set[Future[Any]] = set()
        """Commits that wait for another writer."""
        self._failed: BaseException | None = None
        self._flusher = threading.Thread(target=self._flush, name=f"flusher of {path.name}", daemon=True)
        self._flusher.start()

    def close(self) -> None:
        """Has everything on the disk, then closes the file. Raises StorageError where that fails."""
        self.claims.close()
        self._commit()
        for written in tuple(self._behind):
            self._failed = self._failed or written.exception()
        self._closing.set()
        self._unflushed.set()
        self._flusher.join()
        self._database.close()
        self._raise()

    def get(self, key: str) -> str | None:
        """The body that was put under `key`."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The bodies of those keys that are there."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), _PAGE):
            page = tuple(keys[start : start + _PAGE])
            marks = ",".join("?" * len(page))
            rows = self._database.read(f"SELECT key, body, digest FROM reply WHERE key IN ({marks})", page)
            for key, body, kept in rows:
                if kept == _digest(key, body):
                    found[key] = body
                elif self._rejected.get(key) != kept:
                    _log.warning("%s: the reply %s is damaged: it is asked for again", self._database.path, key)
                    self._rejected[key] = kept
        return found

    def reject(self, key: str, body: str) -> None:
        """The caller could not use what was kept under `key`, and asks anew: it does not count for claims."""
        self._rejected[key] = _digest(key, body)

    async def claim(self, keys: Collection[str]) -> set[str]:
        """Those of `keys` that are the caller's to ask. Of the others somebody else is asking, or has got the reply."""
        return await self.claims.take(keys, self._rejected)

    async def put(self, key: str, body: str) -> None:
        """Keeps `body`; an earlier body of the same key is replaced. Also raises what went wrong when earlier ones were
        brought to the disk. Replies that come within a millisecond share a commit. A reply is kept even where its
        caller is cancelled meanwhile."""
        self._raise()
        loop = asyncio.get_running_loop()
        kept = loop.create_future()
        if not self._together or self._together[0][0].get_loop() is not loop:  # a loop can end before its millisecond
            loop.call_later(_TOGETHER_S, self._commit)
        self._together.append((kept, (key, body, _digest(key, body))))
        await kept
        self.claims.answered(key)

    def _commit(self) -> None:
        if not self._together:
            return
        together, self._together = self._together, []
        rows = [row for _, row in together]
        try:
            committed = self._database.write_at_once(_PUT, rows)
        except Exception as error:  # noqa: BLE001 - whoever put them gets it
            self._settle(together, error)
            return
        if committed:
            self._settle(together, None)
        else:
            written = self._database.submit(lambda connection: connection.executemany(_PUT, rows))
            self._behind.add(written)
            later = asyncio.wrap_future(written, loop=together[0][0].get_loop())
            later.add_done_callback(lambda _: self._settle_behind(written, together))

    def _settle_behind(self, written: Future[Any], together: Sequence[_Put]) -> None:
        self._behind.discard(written)
        self._settle(together, written.exception())

    def _settle(self, together: Sequence[_Put], error: BaseException | None) -> None:
        """Tells those who wait. One who was cancelled does not: then the next `put`, or `close`, raises what failed."""
        if error is None:
            self._unflushed.set()
        for kept, _ in together:
            if kept.done():
                self._failed = self._failed or error
            elif error is None:
                kept.set_result(None)
            else:
                kept.set_exception(error)

    def _raise(self) -> None:
        if self._failed:
            failed, self._failed = self._failed, None
            raise failed

    def _flush(self) -> None:
        """In a thread: flushes what was put, all of a quarter of a second together."""
        closing = False
        while not closing:
            self._unflushed.wait()
            self._closing.wait(_FLUSHED_AFTER_S)
            self._unflushed.clear()
            # asked after the clear, which can take away the signal that `close` gave, and before the last flush
            closing = self._closing.is_set()
            try:
                self._database.flush()
            except StorageError as error:
                self._failed = error


def _digest(key: str, body: str) -> str:
    return hashlib.sha256(f"{key} {body}".encode()).hexdigest()
