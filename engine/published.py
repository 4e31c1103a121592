"""Writes a run's files out of its ledger, and knows each by its digest.

Beside the digest the ledger keeps the file's size, time of change and inode, so that a file that nobody touched is not
read again to know that it is sound. A file that is not what was written is restored.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hardcut.engine.checksums import stamp
from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.engine.ledger import Ledger, Published
from hardcut.schemas.errors import HardcutError
from hardcut.schemas.records import Dropped

_log = logging.getLogger(__name__)


class _Kept(NamedTuple):
    """What the ledger knows of a file: its digest, the one that it had before, and the file that it became."""

    digest: str
    before: str
    size: int
    mtime_ns: int
    inode: int


_COLUMNS = ", ".join(_Kept._fields)


def write(ledger: Ledger, files: Mapping[str, str]) -> None:
    """Writes the files of these kinds as they belong now; removes the files that no stage has records in.

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


def restore(ledger: Ledger, file: str) -> None:
    """Reads a file that a stage shows, and writes it again where it is not what was written."""
    files = {kind: name for row in ledger.stages() for kind, name in row.files.items() if name == file}
    write(ledger, altered(ledger, files, read=True))


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
