"""An SQLite file with one writer thread that commits in groups, and errors that say what to do.

A commit that survives a power cut costs a flush of the disk (about 2 ms). The writer thread takes all writes that wait,
carries them out in one transaction and then tells every caller, so 64 callers share one flush (measured: 47,000 rows
a second in groups of 64 against 520 one by one).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hardcut.engine.closing import Closing
from hardcut.engine.files import storage_error
from hardcut.schemas.errors import StorageError, UsageError

T = TypeVar("T")
Write = Callable[[sqlite3.Connection], T]

_GROUP = 256
"""Writes in one commit at most."""
_BUSY_S = 60.0
"""How long to wait for another process that writes to the same file."""
_LARGE_LOG = 4 * 2**20
"""A write-ahead log of more bytes is carried over into the file."""
_flush = getattr(os, "fdatasync", os.fsync)
"""macOS has no fdatasync."""

_ADVICE = {
    sqlite3.SQLITE_FULL: "no space is left: free some and start again, nothing that was written is lost",
    sqlite3.SQLITE_IOERR: "the disk does not take it (full, a limit, or damaged): mend that and start again",
    sqlite3.SQLITE_READONLY: "it is read-only: mend its permissions or choose another folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that its folder is there and may be written to",
    sqlite3.SQLITE_BUSY: f"another process has been writing to it for {_BUSY_S:g} s: wait for its end and start again",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of a kind of file.

    `version` is kept in the file (`PRAGMA user_version`), `script` makes the tables of that version, `table` is one
    that every version has, and `upgrades[n]` turns the tables of version n into those of n + 1.
    """

    version: int
    script: str
    table: str
    upgrades: Mapping[int, Callable[[sqlite3.Connection], None]] = field(default_factory=dict)

    def version_of(self, connection: sqlite3.Connection, path: Path) -> int:
        """The version of a file, 0 for an empty one. Raises UsageError where it is newer than this one, and where the
        file is not of this kind."""
        found, ours, tables = connection.execute(
            "SELECT user_version, (SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?), "
            "(SELECT count(*) FROM sqlite_master) FROM pragma_user_version",
            (self.table,),
        ).fetchone()
        if found > self.version:
            raise UsageError(
                f"{path}: written by a newer Hardcut (layout {found}, this one knows {self.version}): upgrade Hardcut"
            )
        known = ours and found in (*self.upgrades, self.version) if found else not tables
        if not known:
            raise UsageError(f"{path}: no file of Hardcut's (layout {found}): move it away or name another folder")
        return int(found)


class Database(Closing):
    """`if_damaged` says what to do about a file that is no database. A file of an older layout is brought up. Several
    processes may have one file open; their writes take turns. Without `flushed`, a commit survives the end of the
    process but no power cut, until `flush`.

    Raises StorageError where the disk or the file is at fault, and UsageError for a file of a newer or unknown layout.
    """

    def __init__(self, path: Path, *, layout: Layout, if_damaged: str, flushed: bool = True) -> None:
        self.path = path
        self._if_damaged = if_damaged
        self._queue: queue.SimpleQueue[tuple[Write[Any], Future[Any]] | None] = queue.SimpleQueue()
        with self.errors():
            self._writer = _connect(path)
            try:
                _prepare(self._writer, path, layout, flushed)
            except BaseException:
                self._writer.close()
                raise
            self.reader = self.connect_reader()
            self._impatient = None if flushed else _connect_impatient(path)
        self._thread = threading.Thread(target=self._work, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Carries out the writes that wait, then closes the file."""
        self._queue.put(None)
        self._thread.join()
        self.reader.close()
        if self._impatient:
            self._impatient.close()
        self._writer.close()

    def write_at_once(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> bool:
        """One statement for every row, committed together in the caller's thread; False where another writer is at it,
        so that it would have to wait: then `write` it. Only without `flushed`, where a commit waits for no disk and
        costs less than the way to the writer thread and back (measured: 0.03 ms of CPU against 0.25 ms)."""
        connection = self._impatient
        assert connection, f"{self.path.name}: its commits wait for the disk"
        try:
            if len(rows) == 1:
                connection.execute(sql, rows[0])
            else:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(sql, rows)
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if connection.in_transaction:
                connection.rollback()
            if _is_busy(error):
                return False
            raise self._translated(error) from error
        return True

    def attempt(self, work: Write[T]) -> T | None:
        """`work` in a transaction of its own in the caller's thread, as `write_at_once`; None where that would have to
        wait."""
        connection = self._impatient
        assert connection, f"{self.path.name}: its commits wait for the disk"
        try:
            connection.execute("BEGIN IMMEDIATE")
            done = work(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.rollback()
            if isinstance(error, sqlite3.DatabaseError):
                if _is_busy(error):
                    return None
                raise self._translated(error) from error
            raise
        return done

    def submit(self, work: Write[T]) -> Future[T]:
        """Has `work(connection)` carried out in the next commit; the future is done when it is on the disk.

        Where `work` raises, it alone is undone; where the commit fails, all of its group fail. A cursor that it returns
        is closed, and the value None.
        """
        future: Future[T] = Future()
        self._queue.put((work, future))
        return future

    async def write(self, work: Write[T]) -> T:
        """`submit`, awaited. Cancelling stops the waiting, not the write."""
        future = asyncio.wrap_future(self.submit(work))
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, should nobody wait
        return await asyncio.shield(future)

    def flush(self) -> None:
        """Has all that was committed on the disk. Blocks; any thread, one at a time.

        That is, the write-ahead log: what SQLite carries over from there into the file it flushes itself."""
        log = self.path.with_name(f"{self.path.name}-wal")
        try:
            descriptor = os.open(log, os.O_RDONLY)
        except FileNotFoundError:  # it is made by the first write
            return
        try:
            _flush(descriptor)
            size = os.fstat(descriptor).st_size
        except OSError as error:
            raise storage_error(self.path, error) from error
        finally:
            os.close(descriptor)
        if self._impatient and size > _LARGE_LOG:  # see _connect_impatient
            with self.errors(), contextlib.closing(_connect(self.path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a query that returns few."""
        if self._impatient:  # it knows the pages that it wrote itself, which `reader` reads anew after every commit
            try:
                return self._impatient.execute(sql, parameters).fetchall()
            except sqlite3.DatabaseError as error:
                if not _is_busy(error):
                    raise self._translated(error) from error
        with self.errors():
            return self.reader.execute(sql, parameters).fetchall()

    def mend_indexes(self) -> bool:
        """Reads the whole file and makes its indexes anew where they do not fit its tables; says whether it did.

        Raises StorageError where that does not help.
        """
        check = "PRAGMA integrity_check(1)"
        with self.errors():
            if self.reader.execute(check).fetchone()[0] == "ok":
                return False
        self.submit(lambda connection: connection.execute("REINDEX")).result()
        with self.errors():
            found = self.reader.execute(check).fetchone()[0]
        if found != "ok":
            raise StorageError(f"{self.path}: damaged ({found}): {self._if_damaged}")
        return True

    def connect_reader(self) -> sqlite3.Connection:
        """Another connection that only reads, for use in one thread at a time."""
        connection = _connect(self.path)
        connection.execute("PRAGMA query_only = ON")
        return connection

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns SQLite's errors about disk and file into ours."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        lost = code == sqlite3.SQLITE_ERROR and str(error).startswith("no such ")  # a table or column, by its name
        if lost or isinstance(error, UnicodeDecodeError):
            return StorageError(f"{self.path}: damaged ({error}): {self._if_damaged}")
        if not isinstance(error, sqlite3.DatabaseError) or code is None:
            return error
        if code & 0xFF in _DAMAGED:
            return StorageError(f"{self.path}: damaged or no SQLite file ({error}): {self._if_damaged}")
        if advice := _ADVICE.get(code & 0xFF):
            return StorageError(f"{self.path}: {error}: {advice}")
        return error

    def _work(self) -> None:
        closing = False
        while not closing:
            group = [self._queue.get()]
            while len(group) < _GROUP and not self._queue.empty():
                group.append(self._queue.get_nowait())
            closing = None in group
            self._commit([job for job in group if job and job[1].set_running_or_notify_cancel()])

    def _commit(self, jobs: list[tuple[Write[Any], Future[Any]]]) -> None:
        if not jobs:
            return
        connection = self._writer
        outcomes: list[tuple[Future[Any], Any, Exception | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work, future in jobs:
                connection.execute("SAVEPOINT job")
                try:
                    outcomes.append((future, _detached(work(connection)), None))
                except Exception as error:
                    if isinstance(self._translated(error), StorageError):
                        raise
                    connection.execute("ROLLBACK TO job")
                    outcomes.append((future, None, error))
                connection.execute("RELEASE job")
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - every caller gets it
            failure = self._translated(error)
            outcomes = [(future, None, failure) for _, future in jobs]
            if connection.in_transaction:
                connection.rollback()
        for future, value, failed in outcomes:
            if failed is None:
                future.set_result(value)
            else:
                future.set_exception(failed)


def _detached(value: T) -> T | None:
    """What may leave the writer's thread. A cursor may not: when the caller lets go of it, SQLite resets its statement,
    which may be the very one that the writer is carrying out for somebody else ("bad parameter or other API misuse").
    """
    if isinstance(value, sqlite3.Cursor):
        value.close()
        return None
    return value


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
    return _rows(connection)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that only reads an existing file. It needs no lock, so another process may work on the file."""
    return _rows(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None))


def _rows(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.row_factory = sqlite3.Row
    # Text whose bytes were damaged is read nevertheless, so that its checksum tells.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    return connection


def _connect_impatient(path: Path) -> sqlite3.Connection:
    """A connection whose writes wait neither for another writer nor for the disk: `flush` does what does."""
    connection = _connect(path)
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def statements(script: str) -> list[str]:
    """The statements of a script; each ends with its line."""
    return [statement for statement in script.split(";\n") if statement.strip()]


def _prepare(connection: sqlite3.Connection, path: Path, layout: Layout, flushed: bool) -> None:
    found = layout.version_of(connection, path)  # first, so that a file that is not ours stays as it is
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {'FULL' if flushed else 'NORMAL'}")
    if found == layout.version:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = layout.version_of(connection, path)  # another process may have been faster
        if not found:
            for statement in statements(layout.script):
                connection.execute(statement)
        for version in range(found or layout.version, layout.version):
            layout.upgrades[version](connection)
        connection.execute(f"PRAGMA user_version = {layout.version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise
