"""The tables of a ledger, and the writes that go into the middle of a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from hardcut.engine.checksums import STAMPED, damaged_rows, of_unit, stamp, survey
from hardcut.engine.database import Layout
from hardcut.engine.results import Result
from hardcut.schemas.errors import HardcutError, StorageError

_UPGRADED = 500
"""Units whose checksums are made at once when an older ledger is brought up."""

_FILE = """
CREATE TABLE file (
    name TEXT PRIMARY KEY, digest TEXT NOT NULL, before TEXT NOT NULL, size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, checksum TEXT NOT NULL DEFAULT ''
)"""

_SCRIPT = f"""
CREATE TABLE stage (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL, phase TEXT NOT NULL DEFAULT 'open', key TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT '', generation INTEGER NOT NULL DEFAULT 0, files TEXT NOT NULL DEFAULT '{{}}',
    records TEXT NOT NULL DEFAULT '{{}}', statuses TEXT NOT NULL DEFAULT '{{}}', checksum TEXT NOT NULL DEFAULT ''
);
CREATE TABLE unit (
    id INTEGER PRIMARY KEY, stage TEXT NOT NULL, key TEXT NOT NULL, unit TEXT NOT NULL, generation INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending', reason TEXT, detail TEXT, raw TEXT, seconds REAL, checksum TEXT,
    UNIQUE (stage, key), UNIQUE (stage, generation, unit)
);
CREATE INDEX unit_by_status ON unit (stage, generation, status, seconds);
CREATE TABLE record (
    unit INTEGER NOT NULL REFERENCES unit (id), kind TEXT NOT NULL, id TEXT NOT NULL, about TEXT NOT NULL,
    digest TEXT NOT NULL, body TEXT NOT NULL
);
CREATE UNIQUE INDEX record_of_unit ON record (unit, kind, id);
CREATE INDEX record_by_id ON record (kind, id);
CREATE INDEX record_by_about ON record (kind, about, id);
-- The finished results of collection stages, whose units never move to another generation.
CREATE TABLE snapshot (
    stage TEXT, key TEXT, generation INTEGER NOT NULL, state TEXT NOT NULL DEFAULT '',
    checksum TEXT NOT NULL DEFAULT '', PRIMARY KEY (stage, key)
);
-- `estimated_...` is the part of the tokens that nobody has counted.
CREATE TABLE spend (
    stage TEXT, teacher TEXT, calls INTEGER NOT NULL DEFAULT 0, prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0, checksum TEXT NOT NULL DEFAULT '',
    estimated_prompt_tokens INTEGER NOT NULL DEFAULT 0, estimated_completion_tokens INTEGER NOT NULL DEFAULT 0,
    sound_s REAL NOT NULL DEFAULT 0, PRIMARY KEY (stage, teacher)
);
-- Files as they were written last: `before` is the digest that they had until then.
{_FILE.strip()};
-- CROSS JOIN keeps the order of the tables: by an index of record, so that rows come sorted and are never collected.
CREATE VIEW current_record AS
    SELECT r.kind, r.id, r.about, r.digest, r.body, u.stage, u.unit, s.position, s.phase
    FROM record r CROSS JOIN unit u ON u.id = r.unit CROSS JOIN stage s ON s.name = u.stage
    WHERE s.generation = u.generation;
"""


def _add_checksums(connection: sqlite3.Connection) -> None:
    """From layout 1, of version 26e4c37. What the ledger holds counts as sound; files are held against it later."""
    connection.execute("ALTER TABLE stage ADD COLUMN statuses TEXT NOT NULL DEFAULT '{}'")
    connection.execute("ALTER TABLE snapshot ADD COLUMN state TEXT NOT NULL DEFAULT ''")
    connection.execute("ALTER TABLE unit ADD COLUMN checksum TEXT")
    connection.execute(_FILE)
    for table in STAMPED:
        if table != "file":
            connection.execute(f"ALTER TABLE {table} ADD COLUMN checksum TEXT NOT NULL DEFAULT ''")
    last = connection.execute("SELECT coalesce(max(id), 0) FROM unit").fetchone()[0]
    for first in range(1, last + 1, _UPGRADED):
        page = (first, first + _UPGRADED - 1)
        units = connection.execute("SELECT * FROM unit WHERE id BETWEEN ? AND ? AND status <> 'pending'", page)
        entries: dict[int, list[tuple[str, ...]]] = {}
        for unit, *entry in connection.execute(
            "SELECT unit, kind, id, about, digest FROM record WHERE unit BETWEEN ? AND ? ORDER BY unit, kind, id", page
        ):
            entries.setdefault(unit, []).append(tuple(entry))
        sums = [(of_unit(row, row["stage"], entries.get(row["id"], ())), row["id"]) for row in units.fetchall()]
        connection.executemany("UPDATE unit SET checksum = ? WHERE id = ?", sums)
    for name, generation in connection.execute("SELECT name, generation FROM stage").fetchall():
        counted = "SELECT status, count(*) FROM unit WHERE stage = ? AND generation = ? GROUP BY status"
        statuses = dict(map(tuple, connection.execute(counted, (name, generation)).fetchall()))
        connection.execute("UPDATE stage SET statuses = ? WHERE name = ?", (json.dumps(statuses), name))
    for table in STAMPED:
        stamp(connection, table)


def _add_estimates(connection: sqlite3.Connection) -> None:
    """From layout 2. What was booked until now had been counted."""
    for column in ("estimated_prompt_tokens INTEGER", "estimated_completion_tokens INTEGER", "sound_s REAL"):
        connection.execute(f"ALTER TABLE spend ADD COLUMN {column} NOT NULL DEFAULT 0")
    stamp(connection, "spend")


LAYOUT = Layout(version=3, script=_SCRIPT, table="stage", upgrades={1: _add_checksums, 2: _add_estimates})


def enrol(connection: sqlite3.Connection, name: str, generation: int, units: Iterable[tuple[str, str]]) -> None:
    """Makes units (id, key) current: those known by their key with their result, the others pending.

    Raises HardcutError where two of a stage's units have one id.
    """
    for unit, key in units:
        try:
            found = connection.execute(
                "INSERT INTO unit (stage, key, unit, generation) VALUES (?, ?, ?, ?) ON CONFLICT (stage, key) "
                "DO UPDATE SET generation = excluded.generation WHERE generation <> excluded.generation",
                (name, key, unit, generation),
            ).rowcount
        except sqlite3.IntegrityError:
            found = 0
        except UnicodeEncodeError:
            raise HardcutError(f"stage {name}: the id {unit!r} is no valid text: rename it and start again") from None
        if not found:
            raise HardcutError(f"stage {name}: two units have the id {unit!r}: give each its own and start again")


def settle(connection: sqlite3.Connection, name: str, result: Result) -> None:
    """Keeps what became of an enrolled unit, in place of what was there."""
    found = connection.execute("SELECT id, unit FROM unit WHERE stage = ? AND key = ?", (name, result.key)).fetchone()
    unit = {
        "key": result.key,
        "unit": found["unit"],
        "status": result.status,
        "reason": result.reason,
        "detail": result.detail,
        "raw": result.raw,
    }
    checksum = of_unit(unit, name, (entry[:4] for entry in result.entries))
    connection.execute(
        "UPDATE unit SET status = ?, reason = ?, detail = ?, raw = ?, seconds = ?, checksum = ? WHERE id = ?",
        (result.status, result.reason, result.detail, result.raw, result.seconds, checksum, found["id"]),
    )
    connection.execute("DELETE FROM record WHERE unit = ?", (found["id"],))
    connection.executemany(
        "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", [(found["id"], *entry) for entry in result.entries]
    )


def reopen_failed(connection: sqlite3.Connection, name: str, keys: Iterable[str]) -> None:
    """Makes those of a stage's units that failed pending again, without what they left."""
    for key in keys:
        failed = connection.execute(
            "SELECT id FROM unit WHERE stage = ? AND key = ? AND status = 'failed'", (name, key)
        ).fetchall()
        connection.executemany("DELETE FROM record WHERE unit = ?", map(tuple, failed))
        connection.executemany(
            "UPDATE unit SET status = 'pending', reason = NULL, detail = NULL, raw = NULL, seconds = NULL, "
            "checksum = NULL WHERE id = ?",
            map(tuple, failed),
        )


def pending(connection: sqlite3.Connection, name: str, keys: Iterable[str]) -> set[str]:
    """Those of a stage's keys whose units are pending."""
    found = "SELECT 1 FROM unit WHERE stage = ? AND key = ? AND status = 'pending'"
    return {key for key in keys if connection.execute(found, (name, key)).fetchone()}


def next_generation(connection: sqlite3.Connection, name: str) -> int:
    """A generation that no unit of the stage has ever had."""
    found = connection.execute(
        "SELECT max(coalesce((SELECT max(generation) FROM unit WHERE stage = ?1), 0), "
        "coalesce((SELECT max(generation) FROM snapshot WHERE stage = ?1), 0))",
        (name,),
    )
    return int(found.fetchone()[0]) + 1


def discard(connection: sqlite3.Connection, name: str, units: Iterable[str]) -> None:
    """These of a stage's current units, and all that do not fit their checksums, are to be done again; where it is a
    collection stage, all of them."""
    now = "(SELECT generation FROM stage WHERE name = ?1)"
    damaged = [(row,) for row in survey(connection, name).damaged]
    for unit in units:
        damaged += connection.execute(
            f"SELECT id FROM unit WHERE stage = ?1 AND unit = ?2 AND generation = {now}", (name, unit)
        ).fetchall()
    for sql in ("DELETE FROM record WHERE unit = ?", "DELETE FROM unit WHERE id = ?"):
        connection.executemany(sql, map(tuple, damaged))
    connection.execute(f"DELETE FROM snapshot WHERE stage = ?1 AND generation = {now}", (name,))
    connection.execute("UPDATE stage SET phase = 'open', key = '' WHERE name = ?", (name,))
    stamp(connection, "stage", "name = ?", (name,))


def mend(connection: sqlite3.Connection, path: Path) -> list[str]:
    """Holds the small tables against their checksums and takes out what does not fit, so that the next run makes it
    anew: it enumerates a stage again, or collects or writes a file again. Returns the tables that it mended.

    Raises StorageError where the books are damaged, which nothing can make anew.
    """
    damaged = {table: damaged_rows(connection, table) for table in STAMPED}
    if damaged["spend"]:
        raise StorageError(
            f"{path}: what was spent is damaged: restore it from a copy, or start the run again in a new folder, with "
            "the same cache"
        )
    for table in ("snapshot", "file"):
        rows = [(row["rowid"],) for row in damaged[table]]
        connection.executemany(f"DELETE FROM {table} WHERE rowid = ?", rows)
    for row in damaged["stage"]:
        connection.execute(
            "UPDATE stage SET phase = 'open', key = '', state = '', generation = 0, files = '{}', records = '{}', "
            "statuses = '{}' WHERE rowid = ?",
            (row["rowid"],),
        )
    stamp(connection, "stage")
    return [table for table, rows in damaged.items() if rows]
