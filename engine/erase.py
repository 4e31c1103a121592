"""Takes results out of a ledger and replies out of a cache for good: not one byte of them is left in the files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hardcut.engine import checksums
from hardcut.engine.files import storage_error
from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.run_lock import RunLock
from hardcut.engine.traces import Traces
from hardcut.schemas.errors import StorageError, UsageError

_PAGE = 500


@contextmanager
def locked_ledger(run: Path) -> Iterator[sqlite3.Connection]:
    """The run's ledger for oneself. Raises UsageError where another process works on the run, StorageError."""
    lock = RunLock(run, run / LEDGER_FILE)
    try:
        with opened_to_erase(run / LEDGER_FILE) as connection:
            yield connection
    finally:
        lock.verified = False
        lock.release()


def forget_results(connection: sqlite3.Connection, traces: Traces) -> int:
    """Deletes every unit with a trace in its row or in one of its records, and all that collection stages made; returns
    how many units had a trace. All stages are to be done again: what others' units need is still there, and what was
    paid for is in the cache of replies."""
    found = []
    for row in connection.execute("SELECT id, unit, reason, detail, raw FROM unit").fetchall():
        told = [str(part) for part in (row["unit"], row["reason"], row["detail"], row["raw"]) if part]
        bodies = (each[0] for each in connection.execute("SELECT body FROM record WHERE unit = ?", (row["id"],)))
        if any(map(traces.loosely_in, (*told, *bodies))):
            found.append((row["id"],))
    connection.execute("BEGIN")
    for sql in ("DELETE FROM record WHERE unit = ?", "DELETE FROM unit WHERE id = ?"):
        connection.executemany(sql, found)
    of_snapshots = "(SELECT u.id FROM unit u JOIN snapshot s ON s.stage = u.stage)"
    connection.execute(f"DELETE FROM record WHERE unit IN {of_snapshots}")
    connection.execute(f"DELETE FROM unit WHERE id IN {of_snapshots}")
    connection.execute("DELETE FROM snapshot")
    connection.execute("DELETE FROM file")
    connection.execute(
        "UPDATE stage SET phase = 'open', key = '', state = '', generation = 0, files = '{}', records = '{}', "
        "statuses = '{}'"
    )
    checksums.stamp(connection, "stage")
    connection.execute("COMMIT")
    return len(found)


def drop_stale(connection: sqlite3.Connection) -> int:
    """Deletes the results that no present setting or input has: units of other generations than their stage's, and of
    stages that are no part of the run. Returns how many units. Raises UsageError where a stage is not finished: what it
    had may be taken up again."""
    waiting = [row["name"] for row in connection.execute("SELECT name FROM stage WHERE phase <> 'finished'")]
    if waiting:
        raise UsageError(f"the run is not finished ({', '.join(waiting)}): start `hardcut run` again first")
    stale = "NOT EXISTS (SELECT 1 FROM stage s WHERE s.name = {0}.stage AND s.generation = {0}.generation)"
    connection.execute("BEGIN")
    connection.execute(f"DELETE FROM record WHERE unit IN (SELECT id FROM unit WHERE {stale.format('unit')})")
    found = connection.execute(f"DELETE FROM unit WHERE {stale.format('unit')}").rowcount
    connection.execute(f"DELETE FROM snapshot WHERE {stale.format('snapshot')}")
    connection.execute("COMMIT")
    return int(found)


def forget_replies(path: Path, traces: Traces) -> int:
    """Deletes the replies of a cache that have a trace, and returns their number. Raises StorageError."""
    if not path.exists():
        return 0
    with opened_to_erase(path) as connection:
        last, found = 0, list[tuple[int]]()
        while page := connection.execute(
            f"SELECT rowid, body FROM reply WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}", (last,)
        ).fetchall():
            found += [(row["rowid"],) for row in page if traces.in_text(row["body"])]
            last = page[-1]["rowid"]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM reply WHERE rowid = ?", found)
        connection.execute("COMMIT")
    return len(found)


@contextmanager
def opened_to_erase(path: Path) -> Iterator[sqlite3.Connection]:
    """The database; when the block ends, what was deleted is overwritten, in the file and in its write-ahead log."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA secure_delete = ON")
        yield connection
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise StorageError(f"{path}: another process has it open: end it, then start again")
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path}: {error}: end what uses it, free some space, and start again") from error
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        connection.close()
