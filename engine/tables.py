"""The tables of a ledger, and the writes that go into the middle of a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from hardcut.engine.results import Result
from hardcut.schemas.errors import HardcutError

LAYOUT = 1
"""Version of the tables. A ledger of a newer one is refused."""

SCHEMA = """
CREATE TABLE stage (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL, phase TEXT NOT NULL DEFAULT 'open', key TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT '', generation INTEGER NOT NULL DEFAULT 0, files TEXT NOT NULL DEFAULT '{}',
    records TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE unit (
    id INTEGER PRIMARY KEY, stage TEXT NOT NULL, key TEXT NOT NULL, unit TEXT NOT NULL, generation INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending', reason TEXT, detail TEXT, raw TEXT, seconds REAL,
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
CREATE TABLE snapshot (stage TEXT, key TEXT, generation INTEGER NOT NULL, PRIMARY KEY (stage, key));
CREATE TABLE spend (
    stage TEXT, teacher TEXT, calls INTEGER NOT NULL DEFAULT 0, prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (stage, teacher)
);
-- CROSS JOIN keeps the order of the tables: by an index of record, so that rows come sorted and are never collected.
CREATE VIEW current_record AS
    SELECT r.kind, r.id, r.about, r.digest, r.body, u.stage, u.unit, s.position, s.phase
    FROM record r CROSS JOIN unit u ON u.id = r.unit CROSS JOIN stage s ON s.name = u.stage
    WHERE s.generation = u.generation;
"""


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
    (unit,) = connection.execute(
        "UPDATE unit SET status = ?, reason = ?, detail = ?, raw = ?, seconds = ? "
        "WHERE stage = ? AND key = ? RETURNING id",
        (result.status, result.reason, result.detail, result.raw, result.seconds, name, result.key),
    ).fetchone()
    connection.execute("DELETE FROM record WHERE unit = ?", (unit,))
    connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", [(unit, *entry) for entry in result.entries])


def next_generation(connection: sqlite3.Connection, name: str) -> int:
    """A generation that no unit of the stage has ever had."""
    found = connection.execute(
        "SELECT max(coalesce((SELECT max(generation) FROM unit WHERE stage = ?1), 0), "
        "coalesce((SELECT max(generation) FROM snapshot WHERE stage = ?1), 0))",
        (name,),
    )
    return int(found.fetchone()[0]) + 1
