"""Checksums of what a ledger keeps: a row that the disk or somebody changed is noticed before it is used.

A record's row bears the digest of its body. A unit's row bears a checksum over itself and the ids and digests of its
records, so that none can be lost, added or put elsewhere. Rows of the small tables bear one over all their columns.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hardcut.schemas.errors import StorageError
from hardcut.schemas.ids import digest

STAMPED = ("stage", "snapshot", "spend", "file")
"""The small tables. Code that changes a row of them stamps it."""


class DamagedResult(StorageError):
    """What the ledger keeps of a stage's units is not what was put there. The engine does them again; any other command
    tells the user to start the run, which does."""

    def __init__(self, run: Path | str, stage: str, units: Sequence[str]) -> None:
        named = f"unit {units[0]!r}" if units else "its units"
        more = f" and {len(units) - 1} more" if len(units) > 1 else ""
        self._damage = f"{run}: what the ledger keeps of stage {stage}, {named}{more}, is damaged"
        super().__init__(f"{self._damage}: start the run again, which does it anew")
        self.stage = stage
        self.units = tuple(units)

    @property
    def redo_notice(self) -> str:
        """The line for a run that does it anew."""
        return f"{self._damage}: it is done again"


class Survey(NamedTuple):
    """What became of a stage's current units.

    `state` is a digest over it and does not depend on the settings; `records` counts records by kind, `statuses` units
    by status; `damaged` are the units, by the ids of their rows, that do not fit their checksums.
    """

    state: str
    records: Mapping[str, int]
    statuses: Mapping[str, int]
    damaged: Mapping[int, str]


def of_body(body: str) -> str:
    """The digest of a record's body."""
    return hashlib.sha256(body.encode()).hexdigest()


def of_unit(unit: Mapping[str, Any], stage: str, entries: Iterable[Sequence[str]]) -> str:
    """The checksum of a settled unit's row and its records (kind, id, about, digest), sorted."""
    kept = [unit[column] for column in ("key", "unit", "status", "reason", "detail", "raw")]
    return digest(stage, *kept, [list(entry) for entry in entries])


def of_row(table: str, row: Mapping[str, Any]) -> str:
    """The checksum of a small table's row, over all of its other columns."""
    return digest(table, {column: row[column] for column in row if column not in ("rowid", "checksum")})


def stamp(connection: sqlite3.Connection, table: str, condition: str = "TRUE", values: Sequence[Any] = ()) -> None:
    """Gives the rows that were changed their checksums."""
    for row in connection.execute(f"SELECT rowid, * FROM {table} WHERE {condition}", values).fetchall():
        checksum = of_row(table, dict(row))
        connection.execute(f"UPDATE {table} SET checksum = ? WHERE rowid = ?", (checksum, row["rowid"]))


def damaged_rows(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """The rows of a small table that do not fit their checksums."""
    rows = map(dict, connection.execute(f"SELECT rowid, * FROM {table}").fetchall())
    return [row for row in rows if row["checksum"] != of_row(table, row)]


def survey(connection: sqlite3.Connection, stage: str) -> Survey:
    """Looks at every current unit of a stage and at the rows of its records, not at their bodies."""
    state, records, statuses, damaged = "", Counter[str](), Counter[str](), dict[int, str]()
    rows = connection.execute(
        "SELECT u.unit, u.status, r.kind, r.id, r.digest, r.about, u.key, u.reason, u.detail, u.raw, u.checksum, "
        "u.id AS row, "
        "(SELECT key FROM snapshot WHERE stage = ?1 AND generation = u.generation) AS collected_under "
        "FROM unit u LEFT JOIN record r ON r.unit = u.id "
        "WHERE u.stage = ?1 AND u.generation = (SELECT generation FROM stage WHERE name = ?1) "
        "ORDER BY u.unit, r.kind, r.id",
        (stage,),
    )
    for unit, group in itertools.groupby(rows, key=lambda row: row["unit"]):
        entries = []
        for row in group:
            state = digest(state, *tuple(row)[:5])
            if row["kind"]:
                records[row["kind"]] += 1
                entries.append((row["kind"], row["id"], row["about"], row["digest"]))
        statuses[row["status"]] += 1
        misplaced = row["collected_under"] is not None and row["key"] != digest(row["collected_under"], unit)
        if row["status"] != "pending" and (misplaced or row["checksum"] != of_unit(row, stage, entries)):
            damaged[row["row"]] = unit
    return Survey(state, records, statuses, damaged)


def incomplete_stages(connection: sqlite3.Connection) -> set[str]:
    """The finished stages whose current units are not, status by status, as many as they finished with."""
    counted: dict[str, dict[str, int]] = {}
    for stage, status, units in connection.execute(
        "SELECT s.name, u.status, count(*) FROM stage s CROSS JOIN unit u "
        "ON u.stage = s.name AND u.generation = s.generation GROUP BY s.name, u.status"
    ):
        counted.setdefault(stage, {})[status] = units
    finished = connection.execute("SELECT name, statuses FROM stage WHERE phase = 'finished'")
    return {name for name, statuses in finished if counted.get(name, {}) != json.loads(statuses)}


def unit_fits(connection: sqlite3.Connection, row: int) -> bool:
    """Whether a settled unit, by the id of its row, is what was put there."""
    unit = connection.execute("SELECT * FROM unit WHERE id = ?", (row,)).fetchone()
    entries = connection.execute("SELECT kind, id, about, digest FROM record WHERE unit = ? ORDER BY kind, id", (row,))
    return bool(unit["checksum"] == of_unit(unit, unit["stage"], map(tuple, entries)))
