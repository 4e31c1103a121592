"""What a run's ledger has so far, also of stages that are not finished and whose files do not show it yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from hardcut.engine.database import connect_to_read
from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.tables import LAYOUT
from hardcut.schemas.base import Record
from hardcut.schemas.errors import StorageError

R = TypeVar("R", bound=Record)


def records_so_far(run: Path, kind: type[R]) -> Iterator[R] | None:
    """The records of one kind that belong to the present settings, sorted by id; None where the run has no ledger, or
    one of an earlier version. Raises StorageError where it cannot be read."""
    if not _has_ledger(run):
        return None
    rows = _select(run, "SELECT body FROM current_record WHERE kind = ? ORDER BY id", kind.__name__)
    return (kind.model_validate_json(row["body"]) for row in rows)


def settled_units(run: Path, stage: str) -> set[str]:
    """The units that a stage is done with, whatever came of them; none where there is no such ledger."""
    sql = (
        "SELECT u.unit FROM stage s CROSS JOIN unit u ON u.stage = s.name AND u.generation = s.generation "
        "WHERE s.name = ? AND u.status <> 'pending'"
    )
    return {row["unit"] for row in _select(run, sql, stage)} if _has_ledger(run) else set()


def _has_ledger(run: Path) -> bool:
    path = run / LEDGER_FILE
    if not path.is_file():
        return False
    try:
        with closing(connect_to_read(path)) as ledger:
            return LAYOUT.version_of(ledger, path) == LAYOUT.version
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error


def _select(run: Path, sql: str, given: str) -> Iterator[sqlite3.Row]:
    path = run / LEDGER_FILE
    try:
        with closing(connect_to_read(path)) as ledger:
            yield from ledger.execute(sql, (given,))
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> StorageError:
    return StorageError(f"{path}: cannot read it ({error}): restore it from a copy or start a new run")
