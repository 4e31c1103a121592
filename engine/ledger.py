"""What is done, failed and spent in a run: `ledger.sqlite` in its folder alone decides what a next start has to do.

Every result is kept under its unit's key, also when settings change, so going back to earlier ones costs nothing.
Generations say what counts at present: a unit is current where its generation is its stage's. Starting a stage over
gives it a new generation, and only the units that are met again move into it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from hardcut.engine import checksums, tables
from hardcut.engine.checksums import DamagedResult
from hardcut.engine.closing import Closing
from hardcut.engine.database import Database
from hardcut.engine.files import storage_error
from hardcut.engine.results import Result
from hardcut.engine.run_lock import RunLock
from hardcut.engine.scratch import sweep_drafts
from hardcut.schemas.base import Record

R = TypeVar("R", bound=Record)

_log = logging.getLogger(__name__)

LEDGER_FILE = "ledger.sqlite"
PAGE = 500
"""Rows that are read or written at once where there may be many."""

Phase = Literal["open", "enumerated", "publishing", "finished", "withdrawing"]
"""`open`: units are met and done; `enumerated`: every unit has a row and is settled; `publishing`: files are being
written; `finished`; `withdrawing`: out of date, its records are being taken out of the files.
"""


@dataclass(frozen=True, slots=True)
class StageRow:
    """Where a stage stands. `files` maps the kinds whose files may hold records of it to the files' names; `records`
    counts its records by kind once all units are settled."""

    name: str
    position: int
    phase: Phase
    key: str
    state: str
    generation: int
    files: Mapping[str, str]
    records: Mapping[str, int]


class Published(NamedTuple):
    """A line of a file and whose it is."""

    id: str
    body: str
    stage: str
    unit: str


class Ledger(Closing):
    """The ledger of the run in folder `run`, which is made. One process at a time: it holds a lock that ends with it.

    Raises UsageError where another process works on the run or a newer Hardcut wrote it, StorageError where the disk
    is at fault. Coroutines return when what they wrote is on the disk.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self._lock = RunLock(run, run / LEDGER_FILE)
        try:
            sweep_drafts(run)
            self.database = Database(
                run / LEDGER_FILE,
                layout=tables.LAYOUT,
                if_damaged="restore it from a copy, or start the run again in a new folder",
            )
            mended = self.database.submit(lambda connection: tables.mend(connection, run / LEDGER_FILE)).result()
            if mended:
                _log.warning("%s was damaged (%s): what it held is made anew", run / LEDGER_FILE, ", ".join(mended))
        except BaseException as error:
            if hasattr(self, "database"):
                self.database.close()
            self._lock.give_up()
            if isinstance(error, OSError):
                raise storage_error(run, error) from error
            raise

    def close(self) -> None:
        """Finishes what is being written and lets go of the run."""
        self.database.close()
        self._lock.release()

    def verify(self) -> None:
        """Reads the whole ledger for damage to its structure, unless it is as one who did left it. What stands in its
        rows is checked where they are read. Raises StorageError."""
        if not self._lock.verified and self.database.mend_indexes():
            _log.warning("%s was damaged: its indexes are made anew", self.run / LEDGER_FILE)
        self._lock.verified = True

    # Stages

    def stages(self) -> list[StageRow]:
        """All stages that this run knows, in order."""
        columns = ", ".join(StageRow.__slots__)
        return [
            StageRow(**{**row, "files": json.loads(row["files"]), "records": json.loads(row["records"])})
            for row in self.database.read(f"SELECT {columns} FROM stage ORDER BY position, name")
        ]

    def stage(self, name: str) -> StageRow:
        """One stage. Raises KeyError for a name that was never declared."""
        return {row.name: row for row in self.stages()}[name]

    async def declare(self, names: Sequence[str]) -> None:
        """Makes `names` the order of the stages; others keep their rows behind them until they are withdrawn."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE stage SET position = ?", (len(names),))
            connection.executemany(
                "INSERT INTO stage (name, position) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                [(name, position) for position, name in enumerate(names)],
            )
            checksums.stamp(connection, "stage")

        await self.database.write(write)

    async def withdraw(self, names: Iterable[str]) -> None:
        """From now on no unit of these stages is current; their records are still in the files."""
        await self._each(
            "UPDATE stage SET phase = 'withdrawing', key = '', state = '', generation = 0 WHERE name = ?", names
        )

    async def withdrawn(self, names: Iterable[str]) -> None:
        """Their records are out of the files."""
        await self._each("UPDATE stage SET phase = 'open', files = '{}' WHERE name = ?", names)

    async def forget(self, names: Iterable[str]) -> None:
        """Stages that are not part of the run any more. Their results stay, should they come back."""
        await self._each("DELETE FROM stage WHERE name = ?", names)

    async def _each(self, sql: str, names: Iterable[str]) -> None:
        rows = [(name,) for name in names]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(sql, rows)
            checksums.stamp(connection, "stage")

        await self.database.write(write)

    async def publish(self, name: str, files: Mapping[str, str]) -> None:
        """All units of the stage are settled; its records go into the files now. Raises DamagedResult."""
        found = self._survey(name)

        def write(connection: sqlite3.Connection) -> None:
            snapshot = "stage = ?1 AND generation = (SELECT generation FROM stage WHERE name = ?1)"
            connection.execute(f"UPDATE snapshot SET state = ?2 WHERE {snapshot}", (name, found.state))
            checksums.stamp(connection, "snapshot", snapshot, (name,))

        await self.database.write(write)
        await self._update(
            name,
            "phase = 'publishing', state = ?, records = ?, statuses = ?, files = ?",
            found.state,
            *(json.dumps(each, sort_keys=True) for each in (found.records, found.statuses, files)),
        )

    def check(self, name: str) -> None:
        """Holds all that the ledger has of a finished stage's units against what was put there, but for the records'
        bodies, which are checked when they are read. Raises DamagedResult."""
        if self._survey(name).state != self.stage(name).state:
            raise DamagedResult(self.run, name, ())

    def _survey(self, name: str) -> checksums.Survey:
        with self.database.errors():
            found = checksums.survey(self.database.reader, name)
            kept = self.database.read(
                "SELECT p.state FROM snapshot p JOIN stage s ON s.name = p.stage AND s.generation = p.generation "
                "WHERE s.name = ? AND p.state NOT IN ('', ?)",
                (name, found.state),
            )
        if found.damaged or kept:
            raise DamagedResult(self.run, name, sorted(found.damaged.values()))
        return found

    def incomplete_stages(self) -> set[str]:
        """The finished stages that have not the units any more that they finished with."""
        with self.database.errors():
            return checksums.incomplete_stages(self.database.reader)

    async def discard(self, name: str, units: Sequence[str]) -> None:
        """What the stage had is not trusted any more: these units are to be done again, and where it is a collection
        stage all of them."""

        await self.database.write(lambda connection: tables.discard(connection, name, units))

    async def finish(self, name: str) -> None:
        """The files are written."""
        await self._update(name, "phase = 'finished'")

    async def _update(self, name: str, assignments: str, *values: Any) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(f"UPDATE stage SET {assignments} WHERE name = ?", (*values, name))
            checksums.stamp(connection, "stage", "name = ?", (name,))

        await self.database.write(write)

    # Units

    async def begin(self, name: str) -> int:
        """A unit stage meets its units anew; returns its new generation."""

        def write(connection: sqlite3.Connection) -> int:
            generation = tables.next_generation(connection, name)
            connection.execute(
                "UPDATE stage SET phase = 'open', key = '', generation = ? WHERE name = ?", (generation, name)
            )
            checksums.stamp(connection, "stage", "name = ?", (name,))
            return generation

        return await self.database.write(write)

    async def enrol(
        self, name: str, generation: int, units: Sequence[tuple[str, str]], *, retry_failed: bool = False
    ) -> set[str]:
        """Makes units (id, key) current: those known by their key with their result, the others pending. With
        `retry_failed` those that failed are pending again. Returns the keys of the pending ones."""
        keys = [key for _, key in units]

        def write(connection: sqlite3.Connection) -> set[str]:
            tables.enrol(connection, name, generation, units)
            if retry_failed:
                tables.reopen_failed(connection, name, keys)
            return tables.pending(connection, name, keys)

        return await self.database.write(write)

    async def enumerated(self, name: str, key: str) -> None:
        """Every unit of the stage is enrolled and settled. `key` says under what."""
        await self._update(name, "phase = 'enumerated', key = ?", key)

    async def settle(self, name: str, result: Result) -> None:
        """Keeps what became of an enrolled unit."""
        await self.database.write(lambda connection: tables.settle(connection, name, result))

    def put(self, name: str, generation: int, units: Sequence[tuple[str, str]], results: Sequence[Result]) -> None:
        """Enrols units of a collection stage and settles them. Blocks: for its thread."""

        def write(connection: sqlite3.Connection) -> None:
            tables.enrol(connection, name, generation, units)
            for result in results:
                tables.settle(connection, name, result)

        self.database.submit(write).result()

    def count(self, name: str, status: str) -> int:
        """How many current units of the stage have this status."""
        rows = self.database.read(
            "SELECT count(*) FROM unit WHERE stage = ?1 AND status = ?2 "
            "AND generation = (SELECT generation FROM stage WHERE name = ?1)",
            (name, status),
        )
        return int(rows[0][0])

    def units(self, name: str, status: str) -> Iterator[str]:
        """Current units with this status, by id, sorted. May be written to meanwhile."""
        after = ""
        while rows := self.database.read(
            "SELECT unit FROM unit WHERE stage = ?1 AND unit > ?2 AND status = ?3 "
            f"AND generation = (SELECT generation FROM stage WHERE name = ?1) ORDER BY unit LIMIT {PAGE}",
            (name, after, status),
        ):
            yield from (row["unit"] for row in rows)
            after = rows[-1]["unit"]

    def outcome(self, name: str, unit: str) -> str | None:
        """The status of a current unit; None where there is none."""
        rows = self.database.read(
            "SELECT status FROM unit WHERE stage = ?1 AND unit = ?2 "
            "AND generation = (SELECT generation FROM stage WHERE name = ?1)",
            (name, unit),
        )
        return rows[0]["status"] if rows else None

    def status_of(self, name: str, key: str) -> str | None:
        """The status of the stage's unit under a key, current or not; None where there is none."""
        rows = self.database.read("SELECT status FROM unit WHERE stage = ? AND key = ?", (name, key))
        return rows[0]["status"] if rows else None

    # Snapshots of collection stages

    def snapshot(self, name: str, key: str, with_failed: bool) -> int | None:
        """The generation of an earlier, whole result under this key; only one without failed units, unless
        `with_failed`."""
        rows = self.database.read(
            "SELECT generation FROM snapshot s WHERE stage = ? AND key = ? AND (? OR NOT EXISTS (SELECT 1 FROM unit u "
            "WHERE u.stage = s.stage AND u.generation = s.generation AND u.status = 'failed'))",
            (name, key, with_failed),
        )
        return int(rows[0][0]) if rows else None

    async def begin_snapshot(self, name: str, key: str) -> int:
        """Clears what an interrupted attempt left, and an earlier result under this key; returns the new generation.

        None of its units is current before `keep_snapshot`.
        """

        def write(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM snapshot WHERE stage = ? AND key = ?", (name, key))
            loose = "WHERE stage = ?1 AND generation NOT IN (SELECT generation FROM snapshot WHERE stage = ?1)"
            connection.execute(f"DELETE FROM record WHERE unit IN (SELECT id FROM unit {loose})", (name,))
            connection.execute(f"DELETE FROM unit {loose}", (name,))
            return tables.next_generation(connection, name)

        return await self.database.write(write)

    async def keep_snapshot(self, name: str, key: str, generation: int) -> None:
        """Makes the units of `generation`, and no others, the stage's current ones."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO snapshot (stage, key, generation) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (name, key, generation),
            )
            connection.execute(
                "UPDATE stage SET phase = 'enumerated', key = ?, generation = ? WHERE name = ?", (key, generation, name)
            )
            for table, column in (("snapshot", "stage"), ("stage", "name")):
                checksums.stamp(connection, table, f"{column} = ?", (name,))

        await self.database.write(write)

    # Records

    def subjects(self, kind: str, before: int) -> Iterator[str]:
        """What records of one kind of the finished stages before a position are about, each once, sorted."""
        about = ""
        while rows := self.database.read(
            "SELECT DISTINCT about FROM current_record WHERE kind = ? AND about > ? AND position < ? "
            f"AND phase = 'finished' ORDER BY about LIMIT {PAGE}",
            (kind, about, before),
        ):
            yield from (row["about"] for row in rows)
            about = rows[-1]["about"]

    def digests(
        self, kind: str, about: str, before: int, without: tuple[str, str] | None = None
    ) -> list[tuple[str, str]]:
        """Ids and digests of the records that `bodies` returns."""
        return [(row["id"], row["digest"]) for row in self._about("id, digest", kind, about, before, without)]

    def bodies(self, kind: str, about: str, before: int, without: tuple[str, str] | None = None) -> list[str]:
        """The records about one thing, of one kind, of the stages before a position, sorted by id; but those that have
        this field with this value. Of a stage that is not finished there is what its current units left.

        Raises DamagedResult where one of them is not what was put there.
        """
        rows = self._about("body, digest, stage, unit", kind, about, before, without)
        return [self.sound(row) for row in rows]

    def _about(self, columns: str, kind: str, about: str, before: int, without: tuple[str, str] | None) -> list[Any]:
        field, value = without or ("", "")
        # A body that the disk damaged is no JSON, and is to be met, so that it is told.
        left = "AND NOT (json_valid(body) AND json_extract(body, '$.' || ?) IS ?) " if without else ""
        return self.database.read(
            f"SELECT {columns} FROM current_record WHERE kind = ? AND about = ? AND position < ? {left}ORDER BY id",
            (kind, about, before, *((field, value) if without else ())),
        )

    def find(self, kind: type[R], id: str) -> R | None:
        """One record by its id, of a unit that is current. For the event loop's thread. Raises DamagedResult."""
        rows = self.database.read(
            "SELECT body, digest, stage, unit FROM current_record WHERE kind = ? AND id = ?",
            (kind.__name__, id),
        )
        return kind.model_validate_json(self.sound(rows[0])) if rows else None

    def published(self, kind: str) -> Iterator[Published]:
        """All records of one kind that belong into its file, sorted by id. Raises DamagedResult."""
        with self.database.errors():
            for row in self.database.reader.execute(
                "SELECT id, body, digest, stage, unit FROM current_record WHERE kind = ? "
                "AND phase IN ('publishing', 'finished') ORDER BY id",
                (kind,),
            ):
                yield Published(row["id"], self.sound(row), row["stage"], row["unit"])

    def sound(self, row: Mapping[str, Any]) -> str:
        """The body of a record's row that also has its digest, stage and unit. Raises DamagedResult where they do not
        fit."""
        body: str = row["body"]
        if checksums.of_body(body) != row["digest"]:
            raise DamagedResult(self.run, row["stage"], [row["unit"]])
        return body
