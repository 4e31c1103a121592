"""From a file to its facts and its stored frames: the function that runs in a worker process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardcut.media.container import unreadable
from hardcut.media.frames import FrameSet
from hardcut.media.probe import Probe, probe
from hardcut.media.sampler import Sample, Samples
from hardcut.media.store import FrameStore
from hardcut.schemas.errors import ItemError
from hardcut.schemas.settings import MediaSettings


@dataclass(frozen=True, slots=True)
class Ingested:
    """A video's facts and its frames in the store."""

    probe: Probe
    frames: FrameSet


def ingest(path: str, store_root: str, settings: MediaSettings) -> Ingested:
    """Probes the file and decodes it, unless its frames are stored already: once for each content and sampling.

    Raises StorageError and ItemError: unreadable, no_video, no_pictures, too_large; changed (while it was read);
    damaged (not everything could be decoded, with `settings.strict`).
    """
    before = _state(path)
    facts = probe(path)
    _unchanged(path, before)
    frames = FrameStore(store_root).fill(facts.sha256, settings, _Steady(path, settings, before))
    if settings.strict and not frames.complete:
        raise ItemError("damaged", "; ".join(frames.missing))
    return Ingested(facts, frames)


class _Steady(Samples):
    """The samples of a file that must not change while they are read."""

    def __init__(self, path: str, settings: MediaSettings, state: tuple[int, int]) -> None:
        super().__init__(path, settings)
        self._file = path
        self._state = state

    def __iter__(self) -> Iterator[Sample]:
        yield from super().__iter__()
        _unchanged(self._file, self._state)


def _state(path: str) -> tuple[int, int]:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise unreadable(error) from error
    return status.st_size, status.st_mtime_ns


def _unchanged(path: str, before: tuple[int, int]) -> None:
    if _state(path) != before:
        raise ItemError("changed", "the file was written to while it was read: run again when it is finished")
