"""A run's files: written out of the ledger, and known by digest to those who read them.

Beside each file's digest the ledger keeps its size, time of change and inode, so that a file that nobody touched is not
read again to know that it is sound. A file that is not what was written is restored from the ledger.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hardcut.engine.checksums import stamp
from hardcut.engine.database import connect_to_read
from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.engine.ledger import LEDGER_FILE, Ledger, Published
from hardcut.engine.tables import LAYOUT
from hardcut.schemas.base import Record
from hardcut.schemas.errors import HardcutError, StorageError, UsageError
from hardcut.schemas.records import Dropped

_log = logging.getLogger(__name__)

_LOOKS = 5
_BETWEEN_LOOKS_S = 0.05
"""A file can be replaced between the look into the ledger and the look at the file."""


class _Kept(NamedTuple):
    """What the ledger knows of a file: its digest, the one that it had before, and the file that it became."""

    digest: str
    before: str
    size: int
    mtime_ns: int
    inode: int


_COLUMNS = ", ".join(_Kept._fields)


# The engine's side


def write(ledger: Ledger, files: Mapping[str, str]) -> None:
    """Writes the files of these kinds as they belong now; removes those of which no stage shows anything.

    The digest is in the ledger before the file takes its place: whoever looks in between knows both.
    """
    shown = {kind for row in ledger.stages() if row.phase in ("publishing", "finished") for kind in row.files}
    before = _kept(ledger)
    for kind, file in sorted(files.items()):
        path = ledger.run / file
        if kind not in shown:
            _remove(ledger, file)
            continue
        content = hashlib.sha256()
        with atomic_writer(path, "wb") as lines:
            for line in _lines(ledger, kind, file):
                lines.write(line)
                content.update(line)
            lines.flush()
            _keep(ledger, file, content.hexdigest(), os.fstat(lines.fileno()), before.get(file))


def altered(ledger: Ledger, files: Mapping[str, str], *, read: bool = False) -> dict[str, str]:
    """Those of these files, by kind, that are not what was written; each is told in a line. With `read`, also one that
    nobody touched is read."""
    kept = _kept(ledger)
    found = {}
    for kind, file in files.items():
        path = ledger.run / file
        if not path.is_file():
            _log.warning("%s is missing: it is restored from the ledger", path)
            found[kind] = file
        elif not _intact(ledger, kind, file, kept.get(file), read):
            _log.warning("%s was altered or cut short: it is restored from the ledger", path)
            found[kind] = file
    return found


def remove_unclaimed(ledger: Ledger) -> None:
    """Removes files that no stage of the run says it has a part in."""
    claimed = {file for row in ledger.stages() for file in row.files.values()}
    for file in set(_kept(ledger)) - claimed:
        if (ledger.run / file).exists():
            _remove(ledger, file)


def _intact(ledger: Ledger, kind: str, file: str, kept: _Kept | None, read: bool) -> bool:
    path = ledger.run / file
    status = path.stat()
    if kept and not read and (status.st_size, status.st_mtime_ns, status.st_ino) == kept[2:]:
        return True
    if kept and kept.digest:
        expected = kept.digest
    else:  # written by a version that kept no digests
        content = hashlib.sha256()
        for line in _lines(ledger, kind, file):
            content.update(line)
        expected = content.hexdigest()
    if sha256_of(path) != expected:
        return False
    _keep(ledger, file, expected, status, kept)
    return True


def _lines(ledger: Ledger, kind: str, file: str) -> Iterator[bytes]:
    """The lines of a file. Raises HardcutError where two records have one id, DamagedResult."""
    before: Published | None = None
    for record in ledger.published(kind):
        if before and before.id == record.id:
            if kind == Dropped.__name__:  # its id covers all that it says
                continue
            raise HardcutError(
                f"{file}: {record.id!r} is made twice, by unit {before.unit!r} of stage {before.stage} and "
                f"by unit {record.unit!r} of stage {record.stage}: mend the stage or its inputs"
            )
        yield record.body.encode() + b"\n"
        before = record


def _kept(ledger: Ledger) -> dict[str, _Kept]:
    rows = ledger.database.read(f"SELECT name, {_COLUMNS} FROM file")
    return {name: _Kept(*row) for name, *row in rows}


def _keep(ledger: Ledger, file: str, digest: str, status: os.stat_result, before: _Kept | None) -> None:
    before_it = before.digest if before else ""
    _put(ledger, file, _Kept(digest, before_it, status.st_size, status.st_mtime_ns, status.st_ino))


def _remove(ledger: Ledger, file: str) -> None:
    """The file's row stays without a digest: a file of that name that turns up is not the run's."""
    (ledger.run / file).unlink(missing_ok=True)
    if file in _kept(ledger):
        _put(ledger, file, _Kept("", "", 0, 0, 0))


def _put(ledger: Ledger, file: str, kept: _Kept) -> None:
    def put(connection: sqlite3.Connection) -> None:
        connection.execute(f"INSERT OR REPLACE INTO file (name, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", (file, *kept))
        stamp(connection, "file", "name = ?", (file,))

    ledger.database.submit(put).result()


# The readers' side


def sound(run: Path, kind: type[Record]) -> Path | None:
    """The path of a run's file, seen to be what its run wrote; None where the run shows none of the kind.

    A file that was altered, cut short or removed is restored from the ledger, and a line says so. Raises StorageError
    where that cannot be: another process works on the run, or the ledger is damaged. A file that no stage writes
    (reviews), or of a folder without a ledger, is given as it is.
    """
    path = run / kind.FILE
    for _ in range(_LOOKS):
        looked = _look(run, kind)
        if looked is None:
            return path if path.exists() else None
        if not looked.shown:
            return None
        if _digest_of(path) in looked.digests:
            return path if path.exists() else None
        time.sleep(_BETWEEN_LOOKS_S)
    try:
        with Ledger(run) as ledger:
            files = {name: file for row in ledger.stages() for name, file in row.files.items() if file == kind.FILE}
            write(ledger, altered(ledger, files, read=True))
    except UsageError as error:
        raise StorageError(f"{path} is not what its run wrote, and cannot be restored now: {error}") from error
    return path


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
