"""Stage evidence: what is read, said, cut, moved and told about a video, without any teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from pydantic import JsonValue

from hardcut.engine.file_digests import FileDigests
from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.records import Dropped, Evidence, Video
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence.extractors import EXTRACTORS
from hardcut.synth.evidence.look import Extractor, Look, Setup
from hardcut.synth.evidence.speech import Recogniser
from hardcut.synth.frame_source import FrameSource

R = TypeVar("R", bound=Record)

_LATER = {"ocr_languages"}
"""The settings that versions before 6 of the stage did not have."""
_NO_PART = {"speech_key_variable", "speech_price", "ocr_data"}
"""Settings that do not say what is found. Language data is known by its content, wherever it lies."""


@dataclass(frozen=True, slots=True)
class EvidenceStage:
    """Makes the Evidence of each probed video, by the extractors that the settings ask for (`extractors.py`).

    `recogniser` hears speech; None where none is wanted. `digests` remembers the digests of models in folders.
    """

    frames: FrameSource
    options: EvidenceSettings
    recogniser: Recogniser | None = None
    digests: FileDigests | None = None

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "evidence"
    version: ClassVar[int] = 8
    over: ClassVar[str] = "probe"
    reads: ClassVar[tuple[type[Record], ...]] = (Video,)
    makes: ClassVar[tuple[type[Record], ...]] = (Evidence,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency where an extractor that is switched on is not installed."""
        setup = self._setup
        versions = {name: value for each in _asked_for(setup) for name, value in each.versions(setup).items()}
        return {**self._told(), "sampling": self.frames.sampling, "survey": self.frames.survey, "versions": versions}

    @property
    def earlier(self) -> Sequence[Earlier]:
        """Version 7 told one reading of scrolling text, version 6 took a plate that gives way to another for a
        movement, version 5 told look-alikes of other scripts, version 4 text over holes, version 3 believed all text,
        version 2 is of 26e4c37: what was paid for rests on them. Before version 6 no other languages were read: a run
        that asks for them is made anew then."""
        if self.options.ocr_languages:
            return (Earlier(7, self.settings), Earlier(6, self.settings))
        setup = self._setup
        libraries = {
            name: value
            for each in _asked_for(setup)
            if each.version is None
            for name, value in each.libraries(setup).items()
        }
        told = {name: value for name, value in self._told().items() if name not in _LATER}
        before = {name: value for name, value in self.settings.items() if name not in _LATER}
        return (
            Earlier(7, self.settings),
            Earlier(6, self.settings),
            Earlier(5, before),
            Earlier(4, before),
            Earlier(3, before),
            Earlier(2, {**told, "sampling": self.frames.sampling, "versions": libraries}),
        )

    async def run(self, unit: Unit) -> Output:
        video, setup = unit.one(Video), self._setup
        found: list[Evidence | Dropped] = []
        extractors = _asked_for(setup)
        look = Look(video, (), self.frames, setup)
        for each in extractors:
            if not each.frames:
                found += await each.extract(look)
        if any(each.frames for each in extractors):
            async with self.frames.leased(video) as stored:
                look = Look(video, tuple(stored.frames), self.frames, setup)
                for each in extractors:
                    if each.frames:
                        found += await each.extract(look)
        return Output(records=_sorted(found, Evidence), dropped=_sorted(found, Dropped))

    def _told(self) -> dict[str, JsonValue]:
        """The settings that say what is found. Those that are off and came later are left out: keys stay."""
        told = self.options.model_dump(mode="json", exclude=_NO_PART)
        return {name: value for name, value in told.items() if (name, value) != ("sounds", "off")}

    @property
    def _setup(self) -> Setup:
        return Setup(self.options, self.recogniser, self.digests)


def _asked_for(setup: Setup) -> list[Extractor]:
    return [each for each in EXTRACTORS if each.on(setup)]


def _sorted(found: Sequence[Evidence | Dropped], kind: type[R]) -> list[R]:
    """The records of one kind, each once, by id."""
    records = {record.id: record for record in found if isinstance(record, kind)}
    return sorted(records.values(), key=lambda record: record.id)
