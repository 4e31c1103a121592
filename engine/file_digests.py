"""Digests of large files, each read once and known again by its path, size and times of change.

A model of 16 GB is not read at every start. A file counts as unchanged where path, inode, size, and both times (of its
content and of its inode, which no program sets back) are those of when it was read. One that was changed less than two
seconds before is read again the next time: a clock may be coarser than two writes in a row ("racily clean" in git).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.schemas.errors import UsageError

_SETTLED_S = 2.0
_LARGE = 2**30
"""Bytes that take seconds to read: they are announced."""

_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int, int]
"""Inode, size, and times of change of content and inode in nanoseconds."""


def stamp_of(file: Path) -> Stamp:
    """What a file is known again by, besides its path. Raises OSError."""
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class FileDigests:
    """Digests of files, remembered in the file `memory`; without one, for as long as this lives."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, tuple[Stamp, str]] = {}

    def sha256(self, files: Sequence[Path]) -> list[str]:
        """SHA-256 in hex of each of the files. Blocks. Raises OSError, UsageError for one that is being written."""
        before = {file: (str(file.resolve()), stamp_of(file)) for file in files}
        known = self._known if self._memory is None else {**_read(self._memory), **self._known}
        new = [file for file, (path, stamp) in before.items() if known.get(path, ((), ""))[0] != stamp]
        size = sum(before[file][1][1] for file in new)
        if size > _LARGE:
            _log.warning("reading %.1f GB in %s once, to know them again", size / 1e9, new[0].parent)
        found = {path: known[path] for file, (path, _) in before.items() if file not in new}
        for file in new:
            path, stamp = before[file]
            found[path] = stamp, sha256_of(file)
            if stamp_of(file) != stamp:
                raise UsageError(f"{file}: it is being written: wait until it is whole and start again")
        settled = {path: found[path] for path in (before[file][0] for file in new) if _is_settled(found[path][0])}
        if settled:
            self._known |= settled
            self._remember(settled)
        return [found[before[file][0]][1] for file in files]

    def _remember(self, found: dict[str, tuple[Stamp, str]]) -> None:
        if self._memory is None:
            return
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        with atomic_writer(self._memory) as file:
            json.dump({**_read(self._memory), **found}, file, indent=0, sort_keys=True)


def _is_settled(stamp: Stamp) -> bool:
    return time.time_ns() - max(stamp[2:]) > _SETTLED_S * 1e9


def _read(memory: Path) -> dict[str, tuple[Stamp, str]]:
    """What is remembered; nothing where the file is missing or no memory: then files are read again."""
    try:
        found: Any = json.loads(memory.read_text("utf-8"))
        return {path: ((stamp[0], stamp[1], stamp[2], stamp[3]), str(text)) for path, (stamp, text) in found.items()}
    except (OSError, ValueError, AttributeError, TypeError, IndexError):
        return {}
