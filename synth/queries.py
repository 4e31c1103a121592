"""Stage queries: written from what is known of a video, one view at a time (RANKVIDEO, section on synthesis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Caption, Evidence, Query, Sampling, TeacherRef, Twin, Video, View
from hardcut.schemas.settings import QuerySettings
from hardcut.schemas.text.clean import WORDS, clean, length_class
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.request_inputs import claim_inputs, video_inputs
from hardcut.synth.requests import Asker, DropLog, describe_tasks, joint_failure, parsed_reply
from hardcut.synth.rewording.translation import identifier_version
from hardcut.synth.rewording.wordings import Reworder
from hardcut.synth.shown_frames import shown_frames
from hardcut.teacher.prompts.reply_models import ComposeReply, QueriesReply, QueryReply
from hardcut.teacher.protocol import Refusal, Task, Teacher

_NEEDED: dict[View, str] = {"speech": "speech", "ocr": "ocr", "metadata": "metadata"}
"""The kind of evidence that a view is written from."""


@dataclass(frozen=True, slots=True)
class QueryStage:
    """Makes the Queries of each captioned video: from every view that has evidence of its own, `per_view` ones, in
    lengths and registers that take turns over the videos; from every twin, up to `composed`, the edit that turns the
    twin into this video (TARA, composed retrieval); and of each of these paraphrases and translations that ask for the
    same. What a teacher does not answer after the first queries fails the video in part."""

    teacher: Teacher
    frames: FrameSource
    sampling: Sampling
    options: QuerySettings

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "queries"
    version: ClassVar[int] = 3
    over: ClassVar[str] = "captions"
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption, Twin)
    makes: ClassVar[tuple[type[Record], ...]] = (Query,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        """Raises MissingDependency where translations are asked for and nothing can tell languages apart."""
        options = self.options
        tasks: list[Task] = ["queries"]
        tasks += ["compose"] if options.composed else []
        tasks += ["paraphrase"] if options.paraphrases else []
        tasks += ["translate"] if options.languages else []
        tasks += ["same"] if options.paraphrases or options.languages else []
        return {
            **options.model_dump(mode="json"),
            "teachers": describe_tasks(self.teacher, tasks, self.sampling),
            "frames": self.frames.sampling,
            "identifier": identifier_version() if options.languages else None,
        }

    async def run(self, unit: Unit) -> Output:
        video, evidence, caption = unit.one(Video), unit.all(Evidence), unit.one(Caption)
        kinds = {item.kind for item in evidence}
        views = [view for view in self.options.views if view not in _NEEDED or _NEEDED[view] in kinds]
        drops = DropLog(video, self.name)
        queries: list[Query] = []
        async with self.frames.leased(video) as frames:
            about: dict[str, JsonValue] = {
                **video_inputs(video, evidence),
                "caption": caption.text,
                "claims": [claim_inputs(claim) for claim in caption.claims],
                "max_words": self.options.max_words,
            }
            shown = shown_frames(frames, self.sampling.max_frames, video, evidence)
            asker = Asker(self.teacher, self.sampling, about, shown, drops)
            if views:
                reply = await asker.ask(
                    "queries",
                    QueriesReply,
                    views=list(views),
                    per_view=self.options.per_view,
                    forms=_forms(video, views, self.options),
                )
                queries += _Sieve(drops, views, self.options, asker.answered_by("queries")).sift(reply)
            composed, refused = await self._composed(asker, unit.all(Twin), drops)
        queries += composed
        reworder = Reworder(Asker(self.teacher, self.sampling, drops=drops), self.options, drops)
        queries += await reworder.reword(queries)
        return Output(records=queries, dropped=drops.records, failure=joint_failure(refused | reworder.refused))

    async def _composed(
        self, asker: Asker, twins: Sequence[Twin], drops: DropLog
    ) -> tuple[list[Query], dict[str, Refusal]]:
        """Gives a query for each of the first twins, chiral ones first, and the twins that got no answer."""
        chosen = sorted(twins, key=lambda twin: (twin.relation != "chiral", twin.other_video_id))
        chosen = chosen[: self.options.composed]
        inputs: list[dict[str, JsonValue]] = [
            {
                "reference": twin.caption,
                "relation": twin.relation,
                "differences": [difference.model_dump(mode="json") for difference in twin.differences],
            }
            for twin in chosen
        ]
        queries: dict[str, Query] = {}
        refused: dict[str, Refusal] = {}
        for twin, outcome in zip(chosen, await asker.outcomes("compose", ComposeReply, inputs), strict=True):
            what = f"composed from {twin.other_video_id}"
            if isinstance(outcome, Refusal):
                refused[what] = outcome
                continue
            written = parsed_reply(outcome, ComposeReply)
            text = clean(written.text)
            reason = _unfit(text, self.options)
            if reason:
                drops.drop(reason, f"{what}: {clean(text, 200)!r}")
                continue
            query = Query.create(
                text=text,
                language=written.language,
                view="caption",
                kind="composed",
                length=length_class(text),
                facets=drops.facets(what, written.facets),
                source_video_id=drops.video.video_id,
                reference_video_id=twin.other_video_id,
                teacher=asker.answered_by("compose"),
            )
            queries[query.query_id] = query
        return list(queries.values()), refused


def _forms(video: Video, views: Iterable[View], options: QuerySettings) -> list[JsonValue]:
    """The form of each query that is asked for. Which comes first falls by a digest of video and view, so that all
    forms are met in a collection even where a view gets one query."""
    forms: list[JsonValue] = []
    for view in views:
        turn = int(digest(video.video_id, view)[:8], 16)
        for number in range(turn, turn + options.per_view):
            length = options.lengths[number % len(options.lengths)]
            style = options.registers[number // len(options.lengths) % len(options.registers)]
            words = min(WORDS.get(length, options.max_words), options.max_words)
            forms.append({"view": view, "length": length, "words": words, "style": style})
    return forms


def _unfit(text: str, options: QuerySettings) -> str | None:
    if not text:
        return "empty"
    return "too_long" if len(text.split()) > options.max_words else None


class _Sieve:
    """What of a teacher's queries for one video is kept, and why the rest is not."""

    def __init__(self, drops: DropLog, views: list[View], options: QuerySettings, teacher: TeacherRef) -> None:
        self._drops = drops
        self._views = views
        self._options = options
        self._teacher = teacher

    def sift(self, reply: QueriesReply) -> list[Query]:
        kept: list[Query] = []
        texts: set[str] = set()
        count: Counter[str] = Counter()
        for number, written in enumerate(reply.queries, 1):
            text = clean(written.text)
            reason = self._reason(written, text, texts, count)
            if reason:
                self._drops.drop(reason, f"query {number}, view {written.view}: {clean(text, 200)!r}")
                continue
            texts.add(text.casefold())
            count[written.view] += 1
            kept.append(
                Query.create(
                    text=text,
                    language=written.language,
                    view=written.view,
                    kind=written.kind,
                    length=length_class(text),
                    style=written.style,
                    facets=self._drops.facets(f"query {number}", written.facets),
                    source_video_id=self._drops.video.video_id,
                    teacher=self._teacher,
                )
            )
        return kept

    def _reason(self, written: QueryReply, text: str, texts: set[str], count: Counter[str]) -> str | None:
        if written.view not in self._options.views:
            return "view_not_asked"
        if written.view not in self._views:
            return "view_without_evidence"
        if written.kind == "composed":
            return "kind_not_asked"
        if unfit := _unfit(text, self._options):
            return unfit
        if text.casefold() in texts:
            return "duplicate"
        return "over_per_view" if count[written.view] >= self._options.per_view else None
