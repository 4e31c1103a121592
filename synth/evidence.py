"""Stage evidence: what is read, said, cut and told about a video, without any teacher."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from pydantic import JsonValue

from hardcut.engine.stage import Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.records import Evidence, Video
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.extras import installed
from hardcut.synth.frames import Frames
from hardcut.synth.metadata import metadata_evidence
from hardcut.synth.ocr import ocr_evidence, read_lines
from hardcut.synth.shots import find_cuts, shot_evidence
from hardcut.synth.subtitles import subtitle_evidence

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class EvidenceStage:
    """Makes the Evidence of each probed video. Each extractor is a file of its own."""

    frames: Frames
    options: EvidenceSettings

    name: ClassVar[str] = "evidence"
    version: ClassVar[int] = 1
    over: ClassVar[str] = "probe"
    reads: ClassVar[tuple[type[Record], ...]] = (Video,)
    makes: ClassVar[tuple[type[Record], ...]] = (Evidence,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency where an extractor that is switched on is not installed."""
        versions: dict[str, JsonValue] = {}
        if self.options.ocr == "rapidocr":
            for package in ("rapidocr", "onnxruntime"):
                versions[package] = installed(package, "ocr", 'evidence.ocr = "off"')
        if self.options.shots:
            versions["scenedetect"] = installed("scenedetect-headless", "vision", "evidence.shots = false")
        return {**self.options.model_dump(mode="json"), "sampling": self.frames.sampling, "versions": versions}

    async def run(self, unit: Unit) -> Output:
        video = unit.one(Video)
        found, dropped = metadata_evidence(video, self.options.metadata_fields)
        if self.options.subtitles and video.subtitles:
            speech, unreadable = await asyncio.to_thread(subtitle_evidence, video, self.frames.root)
            found += speech
            dropped += unreadable
        found += await self._seen(video)
        return Output(records=_sorted(found), dropped=_sorted(dropped))

    async def _seen(self, video: Video) -> list[Evidence]:
        options, call = self.options, self.frames.pool.call
        if options.ocr == "off" and not options.shots:
            return []
        found: list[Evidence] = []
        async with self.frames.of(video) as stored:
            frames = stored.frames
            if options.ocr == "rapidocr":
                found += ocr_evidence(video, await call(read_lines, frames, video.duration_s, options))
            if options.shots:
                cuts = await call(find_cuts, [frame.path for frame in frames], options.shot_threshold)
                found += shot_evidence(video, frames, cuts)
        return found


def _sorted(records: Sequence[R]) -> list[R]:
    return sorted({record.id: record for record in records}.values(), key=lambda record: record.id)
