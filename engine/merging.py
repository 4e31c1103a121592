"""Takes the results of other runs into a ledger.

A unit's result is kept under a key that covers all that it was made of, and nothing else of the collection. So results
of unit stages hold in any run that has the same unit under the same settings: its next start finds them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hardcut.engine import checksums
from hardcut.engine.database import connect_to_read
from hardcut.engine.ledger import LEDGER_FILE, PAGE, Ledger
from hardcut.engine.run_lock import RunLock
from hardcut.engine.tables import LAYOUT
from hardcut.schemas.errors import StorageError, UsageError

_UNIT = "stage, key, unit, status, reason, detail, raw, seconds, checksum"
_SPENT = "calls, prompt_tokens, completion_tokens, estimated_prompt_tokens, estimated_completion_tokens, sound_s"


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of one run: units that are new, and units that another run had brought under the same key."""

    run: Path
    units: int
    known: int


class _Unit(NamedTuple):
    row: tuple[object, ...]
    records: list[tuple[object, ...]]


def take_results(ledger: Ledger, run: Path, stages: Collection[str]) -> Taken:
    """Copies what became of all current units of these unit stages in the run of another folder.

    The copies are current in no stage: a start makes those so that it meets. Raises UsageError where there is no run,
    another process works on it, or another Hardcut wrote it; StorageError where it is damaged.
    """
    with _opened(run) as other:
        return _take(ledger, run, other, stages)


def book_spent(ledger: Ledger, runs: Sequence[Path]) -> None:
    """Adds what other runs spent to the books, all of them in one commit. Raises as `take_results`."""
    spent: list[tuple[object, ...]] = []
    for run in runs:
        with _opened(run) as other:
            spent += [tuple(row) for row in other.execute(f"SELECT stage, teacher, {_SPENT} FROM spend")]
    ledger.database.submit(lambda connection: _book(connection, spent)).result()


@contextmanager
def _opened(run: Path) -> Iterator[sqlite3.Connection]:
    """The ledger of another run, while nobody works on it."""
    path = run / LEDGER_FILE
    if not path.is_file():
        raise UsageError(f"{run}: no run is here ({LEDGER_FILE} is missing): give the folder that --out named")
    lock = RunLock(run, path)
    try:
        with closing(connect_to_read(path)) as other:
            if LAYOUT.version_of(other, path) != LAYOUT.version:
                raise UsageError(f"{run}: written by an older Hardcut: start it once, which brings it up")
            yield other
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path}: cannot read it ({error}): restore it from a copy or make the run anew") from error
    finally:
        lock.release()


def _take(ledger: Ledger, run: Path, other: sqlite3.Connection, stages: Collection[str]) -> Taken:
    taken = known = 0
    for stage in sorted(stages):
        damaged = checksums.survey(other, stage).damaged
        if damaged:
            unit = next(iter(damaged.values()))
            raise StorageError(f"{run}: stage {stage}, unit {unit!r} is damaged: start that run again, which mends it")
        for page in _pages(other, stage):
            new = ledger.database.submit(partial(_put, units=page)).result()
            taken, known = taken + new, known + len(page) - new
    return Taken(run, taken, known)


def _pages(other: sqlite3.Connection, stage: str) -> Iterator[list[_Unit]]:
    after = ""
    current = "stage = ?1 AND generation = (SELECT generation FROM stage WHERE name = ?1) AND status <> 'pending'"
    while rows := other.execute(
        f"SELECT id, {_UNIT} FROM unit WHERE {current} AND unit > ?2 ORDER BY unit LIMIT {PAGE}", (stage, after)
    ).fetchall():
        after = rows[-1]["unit"]
        yield [
            _Unit(
                tuple(row)[1:],
                [
                    tuple(each)
                    for each in other.execute(
                        "SELECT kind, id, about, digest, body FROM record WHERE unit = ?", (row["id"],)
                    )
                ],
            )
            for row in rows
        ]


def _put(connection: sqlite3.Connection, units: Iterable[_Unit]) -> int:
    """How many of these were not there. One that is there and not settled gets what became of it."""
    new = 0
    for row, records in units:
        stage, key = row[:2]
        before = connection.execute("SELECT id, status FROM unit WHERE stage = ? AND key = ?", (stage, key)).fetchone()
        if before and before["status"] != "pending":
            continue
        if before:
            connection.execute("DELETE FROM unit WHERE id = ?", (before["id"],))
        # Of every unit taken a generation of its own: several may be of one id, under other settings.
        lowest = connection.execute(
            "SELECT min(0, coalesce(min(generation), 0)) FROM unit WHERE stage = ? AND unit = ?", (stage, row[2])
        ).fetchone()[0]
        added = connection.execute(
            f"INSERT INTO unit ({_UNIT}, generation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, lowest - 1)
        )
        connection.executemany(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", [(added.lastrowid, *each) for each in records]
        )
        new += 1
    return new


def _book(connection: sqlite3.Connection, spent: Iterable[tuple[object, ...]]) -> None:
    """Adds what another run spent to the books."""
    sums = ", ".join(f"{column} = {column} + excluded.{column}" for column in _SPENT.split(", "))
    connection.executemany(
        f"INSERT INTO spend (stage, teacher, {_SPENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        f"ON CONFLICT (stage, teacher) DO UPDATE SET {sums}",
        list(spent),
    )
    checksums.stamp(connection, "spend")
