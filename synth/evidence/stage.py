"""Stage evidence: what is read, said, cut, moved and told about a video, without any teacher."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from pydantic import JsonValue

from hardcut.engine.stage import Output, Unit
from hardcut.media.frames import Frame
from hardcut.schemas.base import Record
from hardcut.schemas.dependencies import installed, opencv
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Dropped, Evidence, Video
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence.metadata import metadata_evidence
from hardcut.synth.evidence.motion import find_colours, find_motion, motion_evidence
from hardcut.synth.evidence.ocr import ocr_evidence, read_lines
from hardcut.synth.evidence.paddle import paddle_settings
from hardcut.synth.evidence.shots import shot_evidence, told_cuts
from hardcut.synth.evidence.speech import Recogniser, recognised_evidence
from hardcut.synth.evidence.subtitles import subtitle_evidence
from hardcut.synth.frame_source import FrameSource

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class EvidenceStage:
    """Makes the Evidence of each probed video. Each extractor is a file of its own.

    `recogniser` hears speech beside the subtitles; both are kept, and teachers are told the subtitles where both are.
    """

    frames: FrameSource
    options: EvidenceSettings
    recogniser: Recogniser | None = None

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "evidence"
    version: ClassVar[int] = 3
    over: ClassVar[str] = "probe"
    reads: ClassVar[tuple[type[Record], ...]] = (Video,)
    makes: ClassVar[tuple[type[Record], ...]] = (Evidence,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency where an extractor that is switched on is not installed."""
        options = self.options
        versions: dict[str, JsonValue] = {}
        if options.ocr == "rapidocr":
            for package in ("rapidocr", "onnxruntime"):
                versions[package] = installed(package, "ocr", 'evidence.ocr = "off"')
        if options.ocr == "paddle":
            versions["paddle"] = paddle_settings(options)
        if options.shots or options.motion:
            without = "evidence.shots = false and evidence.motion = false"
            versions["scenedetect"] = installed("scenedetect-headless", "vision", without)
        if options.motion:
            versions["opencv"] = opencv("evidence.motion = false")
        if self.recogniser:
            versions["speech"] = self.recogniser.settings
        sampling: dict[str, JsonValue] = {"sampling": self.frames.sampling}
        if options.shots or options.motion:
            sampling["survey"] = self.frames.survey
        return {**options.model_dump(mode="json"), **sampling, "versions": versions}

    async def run(self, unit: Unit) -> Output:
        video = unit.one(Video)
        found, dropped = metadata_evidence(video, self.options.metadata_fields)
        for heard, lost in (await self._said(video), await self._heard(video)):
            found += heard
            dropped += lost
        found += await self._seen(video)
        return Output(records=_sorted(found), dropped=_sorted(dropped))

    async def _said(self, video: Video) -> tuple[list[Evidence], list[Dropped]]:
        if self.options.speech == "off" or not video.subtitles:
            return [], []
        return await asyncio.to_thread(subtitle_evidence, video, self.frames.root)

    async def _heard(self, video: Video) -> tuple[list[Evidence], list[Dropped]]:
        if self.recogniser is None or not video.has_audio:
            return [], []
        try:
            spoken = await self.recogniser.hear(self.frames.root / video.path, video.duration_s)
        except ItemError as error:
            if error.reason != "no_audio":
                raise
            lost = Dropped.create(item=video.video_id, stage="evidence", reason=error.reason, detail=error.detail)
            return [], [lost]
        return recognised_evidence(video, spoken, self.recogniser.name), []

    async def _seen(self, video: Video) -> list[Evidence]:
        options, call = self.options, self.frames.pool.call
        if options.ocr == "off" and not options.shots and not options.motion:
            return []
        found: list[Evidence] = []
        async with self.frames.leased(video) as stored:
            pictures = stored.frames
            if options.ocr != "off":
                lines = await call(read_lines, pictures, video.duration_s, options)
                found += ocr_evidence(video, lines, options.ocr)
            if options.shots or options.motion:
                found += await self._watched(video, pictures)
        return found

    async def _watched(self, video: Video, pictures: Sequence[Frame]) -> list[Evidence]:
        options, call = self.options, self.frames.pool.call
        async with self.frames.looked_at(video) as survey:
            found = shot_evidence(video, survey, options.shot_threshold) if options.shots else []
            if options.motion:
                cuts = [(cut.before_s + cut.time_s) / 2 for cut in told_cuts(survey, options.shot_threshold)]
                found += motion_evidence(video, await call(find_motion, survey.bursts))
                found += motion_evidence(video, await call(find_colours, pictures, cuts, video.duration_s))
        return found


def _sorted(records: Sequence[R]) -> list[R]:
    return sorted({record.id: record for record in records}.values(), key=lambda record: record.id)
