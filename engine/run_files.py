"""Reads a run's files of records. There is no other way to read them.

Each time a file is read, its whole content is checked against its digest in the run's ledger.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from hardcut.engine import published
from hardcut.engine.database import connect_to_read
from hardcut.engine.files import sha256_of
from hardcut.engine.ledger import LEDGER_FILE, Ledger
from hardcut.engine.tables import LAYOUT
from hardcut.schemas.base import Record
from hardcut.schemas.errors import RecordError, StorageError, UsageError
from hardcut.schemas.jsonl import read_records

R = TypeVar("R", bound=Record)

_LOOKS = 5
_BETWEEN_LOOKS_S = 0.05
"""A file can be replaced between the look into the ledger and the look at the file."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of the run in `folder`, which may be unfinished. A missing file has no records."""

    folder: Path

    def path(self, kind: type[Record]) -> Path:
        """The path of the records of one kind, also where there is no file."""
        return self.folder / kind.FILE

    def sound(self, kind: type[Record]) -> Path | None:
        """The file of one kind, checked against its digest; None where the run shows no such file.

        A file that was altered, cut short or removed is restored from the ledger, and a line says so. Raises
        StorageError where this cannot be done: another process works on the run, or the ledger is damaged. A file that
        no stage writes (reviews), or of a folder without a ledger, is not checked.
        """
        path = self.path(kind)
        for _ in range(_LOOKS):
            looked = _look(self.folder, kind)
            if looked is None:
                return path if path.exists() else None
            if not looked.shown:
                return None
            if not looked.digests:  # the ledger of a version that kept none: it is brought up
                break
            found = _digest_of(path)
            if found in looked.digests:
                return path if found else None
            time.sleep(_BETWEEN_LOOKS_S)
        try:
            with Ledger(self.folder) as ledger:
                published.restore(ledger, kind.FILE)
        except UsageError as error:
            raise StorageError(f"{path} is not what its run wrote, and cannot be restored now: {error}") from error
        return path

    def has(self, kind: type[Record]) -> bool:
        """Whether a stage has written the file of this kind."""
        return self.sound(kind) is not None

    def read(self, kind: type[R]) -> Iterator[R]:
        """The records of one kind, sorted by id, one at a time. Raises RecordError naming file, line and field, or the
        first record out of order, and what `sound` does."""
        path = self.sound(kind)
        last = ""
        for record in read_records(path, kind) if path else ():
            if record.id < last:  # who joins files by their order would lose it without a word
                raise RecordError(
                    f"{path}: {record.id} stands after {last}, out of order: files of runs are not put together by "
                    "hand; sort their lines by id, or start `hardcut run` over all of the videos"
                )
            last = record.id
            yield record

    def count(self, kind: type[Record]) -> int:
        """The number of records of one kind. Counts lines and reads no record."""
        path = self.sound(kind)
        if path is None:
            return 0
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())

    def by_id(self, kind: type[R]) -> dict[str, R]:
        """All records of one kind, by their ids."""
        return {record.id: record for record in self.read(kind)}

    def grouped(
        self, kind: type[R], key: Callable[[R], str], wanted: Collection[str] | None = None
    ) -> defaultdict[str, list[R]]:
        """The records of one kind by a key: those of the wanted keys (None: all)."""
        found: defaultdict[str, list[R]] = defaultdict(list)
        for record in self.read(kind):
            if wanted is None or key(record) in wanted:
                found[key(record)].append(record)
        return found


class _Looked(NamedTuple):
    """Whether the run shows the file, and the digests that it may have; an empty one: it may be missing."""

    shown: bool
    digests: Collection[str]


def _look(run: Path, kind: type[Record]) -> _Looked | None:
    """What the ledger says of the file, None where nothing."""
    path = run / LEDGER_FILE
    if not path.is_file():
        return None
    with closing(connect_to_read(path)) as ledger:
        try:
            ledger.execute("BEGIN")
            layout = LAYOUT.version_of(ledger, path)
            if not layout:
                return None
            stages = ledger.execute("SELECT phase, files FROM stage").fetchall()
            phases = {phase for phase, files in stages if kind.FILE in json.loads(files).values()}
            kept = ()
            if layout == LAYOUT.version:
                rows = ledger.execute("SELECT digest, before FROM file WHERE name = ?", (kind.FILE,)).fetchall()
                if not phases and not rows:
                    return None
                kept = tuple(rows[0]) if rows else ()
            elif not phases:
                return None
        except (sqlite3.DatabaseError, json.JSONDecodeError) as error:
            raise StorageError(f"{path}: cannot read it ({error}): restore it from a copy") from error
    moving = bool(phases & {"publishing", "withdrawing"})
    return _Looked(bool(phases & {"publishing", "finished"}), kept if moving else kept[:1])


def _digest_of(path: Path) -> str:
    """The digest of a file, empty where there is none."""
    try:
        return sha256_of(path)
    except FileNotFoundError:
        return ""
