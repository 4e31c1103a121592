"""What an extractor is, and what it is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from hardcut.engine.file_digests import FileDigests
from hardcut.engine.pool import Pool
from hardcut.media.frames import Frame
from hardcut.media.holes import Hole, find_holes
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Dropped, Evidence, Video
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence.speech import Recogniser
from hardcut.synth.evidence.tagging import Tagger
from hardcut.synth.evidence.writing import Writing
from hardcut.synth.frame_source import FrameSource


@dataclass(frozen=True, slots=True)
class Setup:
    """What is the same for all videos of a run.

    `recogniser` hears speech and `tagger` names sounds; None where none is wanted. `digests` remembers the digests of
    models in folders.
    """

    options: EvidenceSettings
    recogniser: Recogniser | None = None
    digests: FileDigests | None = None
    tagger: Tagger | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What an extractor is handed for one video. `frames` are its stored frames in order; they are empty for an
    extractor that wants none. Who reads text notes in `written` where it stood, for those who look after."""

    video: Video
    frames: tuple[Frame, ...]
    source: FrameSource
    setup: Setup
    written: list[Writing] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The video's file."""
        return self.source.root / self.video.path

    @property
    def pool(self) -> Pool:
        """Worker processes, for what takes long or may crash."""
        return self.source.pool

    async def holes(self) -> tuple[Hole, ...]:
        """The holes of the recording. A file that cannot be read any more tells of none: its frames are stored."""
        try:
            return await self.pool.call(find_holes, str(self.path))
        except ItemError:
            return ()


def _always(setup: Setup) -> bool:
    return True


def _none(setup: Setup) -> Mapping[str, JsonValue]:
    return {}


@dataclass(frozen=True, slots=True)
class Extractor:
    """An extractor. `extract` gives the evidence that it finds, and what it had to leave out. It raises ItemError where
    the video cannot be looked at, which fails the video.

    `version` is part of the stage's key. Count it up when the extractor would find something else. None means that the
    version of the stage counts, as for the extractors that every run of Hardcut had. `libraries` gives the versions of
    the libraries and models that do the work; they are part of the key too. It raises MissingDependency.

    `on` says whether the settings ask for it. `frames` says whether it looks at the stored frames.
    """

    name: str
    version: str | None
    extract: Callable[[Look], Awaitable[Sequence[Evidence | Dropped]]]
    on: Callable[[Setup], bool] = _always
    libraries: Callable[[Setup], Mapping[str, JsonValue]] = _none
    frames: bool = True

    def versions(self, setup: Setup) -> Mapping[str, JsonValue]:
        """What of the extractor is part of the stage's key."""
        return {**({} if self.version is None else {self.name: self.version}), **self.libraries(setup)}
