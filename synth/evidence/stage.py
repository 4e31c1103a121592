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
from hardcut.synth.evidence.tagging import Tagger
from hardcut.synth.frame_source import FrameSource

R = TypeVar("R", bound=Record)

_LATER = {"ocr_languages"}
"""The settings that versions before 6 of the stage did not have."""
_NO_PART = {"speech_key_variable", "speech_price", "sounds_key_variable", "sounds_price", "ocr_data"}
"""Settings that do not say what is found. Language data is known by its content, wherever it lies."""
_WHERE = {"paddle_det", "paddle_rec"}
"""Folders of models: known by their content too (`paddle.py`). Before version 10 they were part of the key."""


@dataclass(frozen=True, slots=True)
class EvidenceStage:
    """Makes the Evidence of each probed video, by the extractors that the settings ask for (`extractors.py`).

    `recogniser` hears speech and `tagger` names sounds; None where none is wanted. `digests` remembers the digests of
    models in folders.
    """

    frames: FrameSource
    options: EvidenceSettings
    recogniser: Recogniser | None = None
    digests: FileDigests | None = None
    tagger: Tagger | None = None

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "evidence"
    version: ClassVar[int] = 14
    over: ClassVar[str] = "probe"
    reads: ClassVar[tuple[type[Record], ...]] = (Video,)
    makes: ClassVar[tuple[type[Record], ...]] = (Evidence,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency where an extractor that is switched on is not installed."""
        told = {name: value for name, value in self._told().items() if name not in _WHERE}
        if self.recogniser is not None:
            told["speech"] = self.options.speech.partition(":")[0]  # its model is in `versions`
        return {**told, "sampling": self.frames.sampling, "survey": self.frames.survey, "versions": self._versions()}

    def _versions(self) -> dict[str, JsonValue]:
        setup = self._setup
        return {name: value for each in _asked_for(setup) for name, value in each.versions(setup).items()}

    @property
    def earlier(self) -> Sequence[Earlier]:
        """Version 13 told a thing that was lost from sight for a moment as two, and looked at less of a long video by
        default. Version 12 lost what follows U+2028 in a subtitle, and took numbers of cues for speech where line ends
        were doubled. Version 11 read a line again that came back as it was. Version 10 took a ticker that nobody reads
        for a movement. Version 9 knew a server of speech by its address, and took scrolling text for a movement.
        Version 8 read every line again five times, and Vietnamese without half of its letters. Version 7 told one
        reading of scrolling text, version 6 took a plate that gives way to another for a movement, version 5 told look-
        alikes of other scripts, version 4 text over holes, version 3 believed all text, version 2 is of 26e4c37: what
        was paid for rests on them. Before version 6 no other languages were read: a run that asks for them is made anew
        then."""
        setup = self._setup
        latest = {**self.settings, "survey": self.frames.former_survey}
        former = {**latest, **self._told()}
        if self.recogniser is not None:
            former["versions"] = {**self._versions(), "speech": self.recogniser.former_settings}
        if self.options.ocr_languages:
            return (
                *(Earlier(version, latest) for version in (13, 12, 11, 10)),
                *(Earlier(version, former) for version in (9, 8, 7, 6)),
            )
        libraries = {
            name: value
            for each in _asked_for(setup)
            if each.version is None
            for name, value in each.libraries(setup).items()
        }
        if self.recogniser is not None:
            libraries["speech"] = self.recogniser.former_settings
        told = {name: value for name, value in self._told().items() if name not in _LATER}
        before = {name: value for name, value in former.items() if name not in _LATER}
        return (
            *(Earlier(version, latest) for version in (13, 12, 11, 10)),
            *(Earlier(version, former) for version in (9, 8, 7, 6)),
            *(Earlier(version, before) for version in (5, 4, 3)),
            Earlier(2, {**told, "sampling": self.frames.sampling, "versions": libraries}),
        )

    async def run(self, unit: Unit) -> Output:
        video = unit.one(Video)
        async with self.frames.at_hand(video):
            return await self._look_at(video)

    async def _look_at(self, video: Video) -> Output:
        setup = self._setup
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
        """The settings that say what is found. Those that are off and came later are left out: keys stay. A server of
        sounds is known by its model, not by its address (`tagging.py`)."""
        told = self.options.model_dump(mode="json", exclude=_NO_PART)
        if self.tagger is None:
            del told["sounds_min_score"]
        if self.options.sounds == "off" or self.tagger is not None:
            del told["sounds"]
        return told

    @property
    def _setup(self) -> Setup:
        return Setup(self.options, self.recogniser, self.digests, self.tagger)


def _asked_for(setup: Setup) -> list[Extractor]:
    return [each for each in EXTRACTORS if each.on(setup)]


def _sorted(found: Sequence[Evidence | Dropped], kind: type[R]) -> list[R]:
    """The records of one kind, each once, by id."""
    records = {record.id: record for record in found if isinstance(record, kind)}
    return sorted(records.values(), key=lambda record: record.id)
