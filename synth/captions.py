"""Stage captions: what happens in a video, in sentences, with claims that cite evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from hardcut.engine.stage import Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Caption, Claim, Dropped, Evidence, Sampling, Video
from hardcut.schemas.settings import CaptionSettings
from hardcut.synth.frames import Frames
from hardcut.synth.inputs import span_within, video_inputs
from hardcut.synth.text import clean
from hardcut.teacher.protocol import Refusal, Request, Teacher
from hardcut.teacher.replies import CaptionReply, ClaimReply


@dataclass(frozen=True, slots=True)
class CaptionStage:
    """Makes the Caption of each video that has evidence behind it. One of over twice the words asked for fails."""

    teacher: Teacher
    frames: Frames
    sampling: Sampling
    options: CaptionSettings

    name: ClassVar[str] = "captions"
    version: ClassVar[int] = 2
    over: ClassVar[str] = "evidence"
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence)
    makes: ClassVar[tuple[type[Record], ...]] = (Caption,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        teacher = self.teacher.describe("caption", self.sampling)
        return {
            **self.options.model_dump(mode="json"),
            "teacher": teacher.model_dump(mode="json"),
            "frames": self.frames.sampling,
        }

    async def run(self, unit: Unit) -> Output:
        video, evidence = unit.one(Video), unit.all(Evidence)
        async with self.frames.of(video) as frames:
            request = Request(
                task="caption",
                inputs={**video_inputs(video, evidence), "max_words": self.options.max_words},
                sampling=self.sampling,
                frames=frames.spread(self.sampling.max_frames),
                reply=CaptionReply,
            )
            [outcome] = await self.teacher.complete([request])
        if isinstance(outcome, Refusal):
            raise ItemError(outcome.reason, outcome.detail, outcome.raw)
        reply = outcome.parsed
        if not isinstance(reply, CaptionReply):
            raise TypeError(f"the teacher answered with {type(reply).__name__} instead of CaptionReply")
        known = {item.evidence_id for item in evidence}
        dropped: list[Dropped] = []
        claims = [_claim(video, number, claim, known, dropped) for number, claim in enumerate(reply.claims, 1)]
        text = clean(reply.caption)
        if not text:
            raise ItemError("empty", "the caption holds nothing that can be shown", outcome.text)
        words = len(text.split())
        if words > 2 * self.options.max_words:  # a little over is style, this is a teacher that rambles
            detail = f"{words} words, and at most {self.options.max_words} were asked for"
            raise ItemError("too_long", detail, outcome.text)
        caption = Caption.create(
            video_id=video.video_id,
            text=text,
            claims=tuple(claim for claim in claims if claim is not None),
            teacher=outcome.teacher,
        )
        return Output(records=(caption,), dropped=dropped)


def _claim(video: Video, number: int, claim: ClaimReply, known: set[str], dropped: list[Dropped]) -> Claim | None:
    """The claim without references to what is not there, which goes to `dropped`; None for one that says nothing."""

    def drop(reason: str, detail: str) -> None:
        told = f"claim {number}: {detail}"
        dropped.append(Dropped.create(item=video.video_id, stage="captions", reason=reason, detail=told))

    text = clean(claim.text)
    if not text:
        drop("empty", "says nothing that can be shown")
        return None
    for cited in dict.fromkeys(claim.evidence):
        if cited not in known:
            drop("unknown_evidence", f"cites {clean(cited, 80)!r}, which is no evidence of this video")
    try:
        span = span_within(claim.start, claim.end, video.duration_s)
    except ValueError as error:
        drop("span_outside", str(error))
        span = None
    cited_ids = tuple(cited for cited in dict.fromkeys(claim.evidence) if cited in known)
    return Claim(text=text, span=span, evidence_ids=cited_ids)
