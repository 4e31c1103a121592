"""From a file to its facts and its stored frames: the function that runs in a worker process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hardcut.media.container import decoding_error, read_timeline
from hardcut.media.frames import FrameSet
from hardcut.media.probe import Probe, probe
from hardcut.media.readers import open_samples
from hardcut.media.sampler import Pictures, Sample, Samples, Watcher
from hardcut.media.store import FrameStore
from hardcut.media.survey import Survey
from hardcut.schemas.errors import DropItem, ItemError
from hardcut.schemas.settings import MediaSettings


@dataclass(frozen=True, slots=True)
class Ingested:
    """A video's facts and its frames in the store, and its survey where that was asked for."""

    probe: Probe
    frames: FrameSet
    survey: Survey | None = None


def ingest(
    path: str,
    store_root: str,
    settings: MediaSettings,
    limit_bytes: int | None = None,
    surveyed: bool = False,
    sha256: str | None = None,
) -> Ingested:
    """Probes the file and decodes it, unless its frames are stored already: once for each content and sampling.
    `surveyed`: the same pass looks for cuts and keeps what movement is told from.

    `limit_bytes` is the size that the store is kept within, `sha256` the file's digest where that is known already.
    Raises DropItem: too_long, too_large (by the settings);
    StorageError; ItemError: unreadable, no_video, no_pictures, too_large; changed (while it was read); reader (not for
    this one); damaged (not everything could be decoded, with `settings.strict`).
    """
    before = _state(path)
    facts = probe(path, sha256)
    _within_limits(path, facts, settings)
    _unchanged(path, before)
    store = FrameStore(store_root, limit_bytes)

    def pictures(watcher: Watcher | None) -> Pictures:
        return _Steady(open_samples(path, settings, watcher), path, before)

    survey = None
    if surveyed and settings.reader == "pyav":
        frames, survey = store.fill_with_survey(facts.sha256, settings, pictures)
    else:
        frames = store.fill(facts.sha256, settings, pictures(None))
        if surveyed:  # the other readers show nobody what they pass over
            ours = settings.model_copy(update={"reader": "pyav"})
            survey = store.fill_with_survey(
                facts.sha256, ours, lambda w: _Steady(Samples(path, ours, w), path, before)
            )[1]
    if not frames.frames:  # one decoded to be probed, and none came where its time stamp allows it
        raise ItemError("no_pictures", f"not a single picture could be kept: {'; '.join(frames.missing)}")
    if settings.strict and not frames.complete:
        raise ItemError("damaged", "; ".join(frames.missing))
    return Ingested(facts, frames, survey)


def _within_limits(path: str, facts: Probe, settings: MediaSettings) -> None:
    pixels = facts.width * facts.height
    if settings.max_source_pixels is not None and pixels > settings.max_source_pixels:
        limit = f"media.max_source_pixels is {settings.max_source_pixels}"
        raise DropItem("too_large", f"{facts.width} x {facts.height} pixels, {limit}")
    if settings.max_duration_s is not None:
        lasts = read_timeline(path).end_s  # what is in the file, whatever its header says
        if lasts > settings.max_duration_s:
            raise DropItem("too_long", f"{lasts:.1f} s, media.max_duration_s is {settings.max_duration_s:g}")


class _Steady:
    """The pictures of a file that must not change while they are read."""

    def __init__(self, samples: Samples, path: str, state: tuple[int, int]) -> None:
        self._samples = samples
        self._path = path
        self._state = state

    def __iter__(self) -> Iterator[Sample]:
        yield from self._samples
        _unchanged(self._path, self._state)

    @property
    def duration_s(self) -> float:
        return self._samples.duration_s

    @property
    def missing(self) -> tuple[str, ...]:
        return self._samples.missing


def _state(path: str) -> tuple[int, int]:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise decoding_error(error) from error
    return status.st_size, status.st_mtime_ns


def _unchanged(path: str, before: tuple[int, int]) -> None:
    if _state(path) != before:
        raise ItemError("changed", "the file was written to while it was read: run again when it is finished")
