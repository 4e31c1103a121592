"""Fingerprints of videos with files of metadata beside them, known again without reading these.

A downloader leaves hundreds of kilobytes beside each video. They are read when they are new, and when their video is
probed. A start knows them by names, sizes and times of change, as it knows the videos themselves. A file that was
changed less than two seconds before it was read is read again the next time: a clock may be coarser than two writes in
a row.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from hardcut.engine.files import atomic_writer
from hardcut.schemas.ids import canonical_json

_READ = 1
"""What is read of these files: counted up where it is more, or something else."""
_SETTLED_NS = 2_000_000_000


class KnownSidecars:
    """What a scan knows from the one before, remembered in the file `memory`; without one, nothing.

    It has digests alone: neither names of files nor what they say.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._before = _read(memory) if memory is not None else {}
        self._now: dict[str, str] = {}

    def fingerprint(self, key: str) -> str | None:
        """The fingerprint of a video, by `key_of` what is known of it without reading; None where it is not known."""
        found = self._before.get(key)
        if found is not None:
            self._now[key] = found
        return found

    def note(self, key: str, fingerprint: str, changed_ns: int) -> None:
        """Notes a fingerprint, of files the last of which was changed at `changed_ns`."""
        if self._memory is not None and time.time_ns() - changed_ns > _SETTLED_NS:
            self._now[key] = fingerprint

    def save(self) -> None:
        """Writes down what this scan knows, for the next; what it did not see is forgotten. Raises StorageError."""
        if self._memory is not None and self._now != self._before:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with atomic_writer(self._memory) as file:
                json.dump(self._now, file, indent=0, sort_keys=True)


def key_of(facts: str, changed_ns: Sequence[int], stated: Mapping[str, JsonValue]) -> str:
    """`facts`: names, sizes and states of all files of a video; `changed_ns`: when each file of metadata was last
    changed, its inode too; `stated`: what a manifest says."""
    told = f"{_READ}\0{facts}\0{','.join(map(str, changed_ns))}\0{canonical_json(stated)}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _read(memory: Path) -> dict[str, str]:
    """What is remembered; nothing where the file is missing or no memory: then files are read again."""
    try:
        found = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
