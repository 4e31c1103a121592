"""Stage queries: written from what is known of a video, one view at a time (RANKVIDEO, section on synthesis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from hardcut.engine.stage import Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Caption, Dropped, Evidence, Facet, Query, Sampling, TeacherRef, Video, View
from hardcut.schemas.settings import QuerySettings
from hardcut.synth.frames import Frames
from hardcut.synth.inputs import span_within, video_inputs
from hardcut.synth.text import clean
from hardcut.teacher.protocol import Refusal, Request, Teacher
from hardcut.teacher.replies import FacetReply, QueriesReply, QueryReply

_NEEDED: dict[View, str] = {"speech": "speech", "ocr": "ocr", "metadata": "metadata"}
"""The kind of evidence that a view is written from."""


@dataclass(frozen=True, slots=True)
class QueryStage:
    """Makes the Queries of each captioned video. Only views that have evidence of their own are asked for."""

    teacher: Teacher
    frames: Frames
    sampling: Sampling
    options: QuerySettings

    name: ClassVar[str] = "queries"
    version: ClassVar[int] = 1
    over: ClassVar[str] = "captions"
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption)
    makes: ClassVar[tuple[type[Record], ...]] = (Query,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        teacher = self.teacher.describe("queries", self.sampling)
        return {
            **self.options.model_dump(mode="json"),
            "teacher": teacher.model_dump(mode="json"),
            "frames": self.frames.sampling,
        }

    async def run(self, unit: Unit) -> Output:
        video, evidence, caption = unit.one(Video), unit.all(Evidence), unit.one(Caption)
        kinds = {item.kind for item in evidence}
        views = [view for view in self.options.views if view not in _NEEDED or _NEEDED[view] in kinds]
        if not views:
            return Output()
        async with self.frames.of(video) as frames:
            request = Request(
                task="queries",
                inputs={
                    **video_inputs(video, evidence),
                    "caption": caption.text,
                    "claims": [
                        {
                            "text": claim.text,
                            "start": claim.span.start if claim.span else None,
                            "end": claim.span.end if claim.span else None,
                            "evidence": list(claim.evidence_ids),
                        }
                        for claim in caption.claims
                    ],
                    "views": list(views),
                    "per_view": self.options.per_view,
                    "max_words": self.options.max_words,
                },
                sampling=self.sampling,
                frames=frames.spread(self.sampling.max_frames),
                reply=QueriesReply,
            )
            [outcome] = await self.teacher.complete([request])
        if isinstance(outcome, Refusal):
            raise ItemError(outcome.reason, outcome.detail, outcome.raw)
        reply = outcome.parsed
        if not isinstance(reply, QueriesReply):
            raise TypeError(f"the teacher answered with {type(reply).__name__} instead of QueriesReply")
        return _Sieve(video, views, self.options, outcome.teacher).sift(reply)


class _Sieve:
    """What of a teacher's queries for one video is kept, and why the rest is not."""

    def __init__(self, video: Video, views: list[View], options: QuerySettings, teacher: TeacherRef) -> None:
        self._video = video
        self._views = views
        self._options = options
        self._teacher = teacher
        self._dropped: list[Dropped] = []

    def sift(self, reply: QueriesReply) -> Output:
        kept: list[Query] = []
        texts: set[str] = set()
        count: Counter[str] = Counter()
        for number, written in enumerate(reply.queries, 1):
            text = clean(written.text)
            reason = self._reason(written, text, texts, count)
            if reason:
                self._drop(reason, f"query {number}, view {written.view}: {clean(text, 200)!r}")
                continue
            texts.add(text.casefold())
            count[written.view] += 1
            kept.append(
                Query.create(
                    text=text,
                    language=written.language,
                    view=written.view,
                    kind=written.kind,
                    facets=self._facets(number, written.facets),
                    source_video_id=self._video.video_id,
                    teacher=self._teacher,
                )
            )
        return Output(records=kept, dropped=self._dropped)

    def _reason(self, written: QueryReply, text: str, texts: set[str], count: Counter[str]) -> str | None:
        if not text:
            return "empty"
        if written.view not in self._options.views:
            return "view_not_asked"
        if written.view not in self._views:
            return "view_without_evidence"
        if len(text.split()) > self._options.max_words:
            return "too_long"
        if text.casefold() in texts:
            return "duplicate"
        return "over_per_view" if count[written.view] >= self._options.per_view else None

    def _facets(self, number: int, written: Iterable[FacetReply]) -> tuple[Facet, ...]:
        facets = []
        for facet in written:
            text, span = clean(facet.text), None
            try:
                span = span_within(facet.start, facet.end, self._video.duration_s)
            except ValueError as error:
                self._drop("span_outside", f"query {number}, facet {clean(text, 80)!r}: {error}")
            if text:
                facets.append(Facet(text=text, modality=facet.modality, span=span))
            else:
                self._drop("empty", f"query {number}: a facet says nothing that can be shown")
        return tuple(facets)

    def _drop(self, reason: str, detail: str) -> None:
        self._dropped.append(Dropped.create(item=self._video.video_id, stage="queries", reason=reason, detail=detail))
