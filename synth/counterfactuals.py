"""Stage counterfactuals: queries that a video does not answer, written from those that it does.

TARA: reversed in time, negated; DocReRank: one facet changed, rewritten until the item no longer answers it. Each is
verified by the judges on the same video with the very request that stage scores sends later, so that the reply cache
makes scoring it free.

Each is one side of a block: two queries of one form, of which the video answers one. The other side is the query
itself, or, where something is denied, the same sentence with something denied that the video does not have. That side
is written with the same prompt, and verified by the judges' yes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

from pydantic import JsonValue, TypeAdapter

from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.media.frames import Frame
from hardcut.schemas.base import Record
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Caption, Evidence, Query, QueryKind, Sampling, TeacherRef, Video, View
from hardcut.schemas.settings import CounterfactualSettings
from hardcut.schemas.text.clean import clean, length_class
from hardcut.synth.elsewhere import elsewhere, some_of
from hardcut.synth.filters.changed import KnownWordings, unlike
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.judges import Judge, Known, unusual
from hardcut.synth.request_inputs import facet_inputs, video_inputs
from hardcut.synth.requests import Asker, DropLog, describe_tasks, joint_failure, parsed_reply
from hardcut.synth.shown_frames import shown_frames
from hardcut.teacher.prompts.inputs import EvidenceLine
from hardcut.teacher.prompts.reply_models import ChangedReply, CounterfactualReply, FacetReply, WrittenVariant
from hardcut.teacher.protocol import Outcome, Refusal, Request, Teacher

_KINDS: Mapping[WrittenVariant, QueryKind] = {
    "reversed": "temporal", "negated": "negation", "negated_absent": "negation",
}  # fmt: skip
"""What a counterfactual asks for; one with a facet changed is of its query's kind."""
_NOT_WRITTEN = "not_written"
_BEFORE = (
    "660ec3072b732c3a6c472478da6f8bf120afecd48325b47e3f3a694d164ad547",
    "8",
)
"""Of version 2: the digest of the prompt, and the revision of the `evidence` teacher."""
_DENIED_FRAGMENTS = "9"
"""The revision of the `evidence` teacher that denied single signs too; of versions 3 and 4."""
_FEW_REVERSES = "10"
"""The revision of the `evidence` teacher that turned round but a few words, and wrote a sentence of a query in
keywords; of version 4."""
_DENIED_EDGES = "12"
"""The revision of the `evidence` teacher that took what leaves for what does not enter; of version 4."""
_OTHER_SIDE: Mapping[WrittenVariant, WrittenVariant] = {"negated": "negated_absent", "negated_absent": "negated"}
"""Of a variant the one without which it is not kept."""
Frames = tuple[Frame, ...]
_LINES = TypeAdapter(tuple[EvidenceLine, ...])


async def at_once(video_id: str) -> None:
    """Where all neighbours have their captions."""


@dataclass(frozen=True, slots=True)
class CounterfactualStage:
    """Makes the counterfactual Queries of each video: for every original query, but composed ones and those of the
    view metadata, which do not ask to be watched, one of each variant that can be.

    What can be seen to be none without a judge (`filters/changed.py`), what a judge takes for answered (of
    `negated_absent`: not for answered), and what cannot be used otherwise is written again, `options.rounds` times, and
    then dropped under the query's id with the last reason; it takes the other side of its block with it. What a teacher
    does not answer fails the video in part.

    `neighbours` gives other videos (Video, Evidence, Caption), whose things writers may exchange for this one's. They
    are no input of a unit's key: a collection that grows does not have what stands written again. `ready` returns once
    a video's neighbours have captions.

    `changed` gives the counterfactuals that a video had before and that people answered on. Where the video is done
    again, say since its file was replaced, those that this teacher wrote of the same query stand, unless a judge now
    says otherwise.
    """

    teacher: Teacher
    judges: Sequence[Judge]
    frames: FrameSource
    sampling: Sampling
    options: CounterfactualSettings
    neighbours: Callable[[str], Sequence[Unit]] = lambda video_id: ()
    changed: Callable[[str], Sequence[Query]] = lambda video_id: ()
    ready: Callable[[str], Awaitable[None]] = at_once

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "counterfactuals"
    version: ClassVar[int] = 5
    over: ClassVar[str] = "queries"
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption, Query)
    makes: ClassVar[tuple[type[Record], ...]] = (Query,)
    without: ClassVar[Mapping[type[Record], tuple[str, str]]] = {Query: ("kind", "composed")}
    """A composed query has no counterfactual. The user's file may have some, and earlier versions of stage queries
    wrote them."""

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        judges = [judge.teacher.describe("judge", judge.sampling).model_dump(mode="json") for judge in self.judges]
        return {
            **self.options.model_dump(mode="json"),
            "teachers": describe_tasks(self.teacher, ["counterfactual"], self.sampling),
            "judges": judges,
            "frames": self.frames.sampling,
            **unusual(self.judges),
        }

    @property
    def earlier(self) -> Sequence[Earlier]:
        """Version 4 exchanged things for cameras that stand. Version 3 kept texts that have nothing in common with
        their query. Version 2 had no answered sides: what was paid for rests on its queries. Its prompt was the one
        that came with Hardcut then, or the user's own, which is still the same."""
        prompt, revision = _BEFORE
        by_rules = self.teacher.describe("counterfactual", self.sampling).backend == "evidence"
        latest = self._written_by(revision=_DENIED_FRAGMENTS) if by_rules else self.settings
        oldest = self._written_by(revision=revision) if by_rules else self._written_by(prompt_digest=prompt)
        rules = (_DENIED_EDGES, _FEW_REVERSES, _DENIED_FRAGMENTS) if by_rules else ()
        same = [Earlier(4, self._written_by(revision=each)) for each in rules] or [Earlier(4, self.settings)]
        return *same, Earlier(3, latest), Earlier(2, oldest), Earlier(2, self.settings)

    def _written_by(self, **before: str) -> Mapping[str, JsonValue]:
        """The settings with a revision or a prompt of the writer that was before."""
        if "revision" in before:
            before["prompt_digest"] = digest("evidence", before["revision"], "counterfactual")
        writer = self.teacher.describe("counterfactual", self.sampling).model_copy(update=before)
        return {**self.settings, "teachers": {"counterfactual": writer.model_dump(mode="json")}}

    async def run(self, unit: Unit) -> Output:
        video, evidence, caption = unit.one(Video), unit.all(Evidence), unit.one(Caption)
        queries = unit.all(Query)
        works = [work for query in queries if (work := _Work.from_query(query, self.options)).pending]
        if not works:
            return Output()
        drops = DropLog(video, self.name)
        refused: dict[str, Refusal] = {}
        inputs = video_inputs(video, evidence)
        about = {**inputs, "caption": caption.text}
        of_video = Known.from_records(video, evidence, caption)
        lines = _LINES.validate_python(inputs["evidence"])
        known = KnownWordings(lines, caption, queries)
        found = elsewhere(self.neighbours(video.video_id), lines, caption.text)
        for work in works:
            work.elsewhere = [line.model_dump(mode="json") for line in some_of(found, work.query.query_id)]
        async with self.frames.leased(video) as stored:
            shown = [shown_frames(stored, judge.sampling.max_frames, video, evidence) for judge in self.judges]
            frames = shown_frames(stored, self.sampling.max_frames, video, evidence)
            asker = Asker(self.teacher, self.sampling, about, frames, drops)
            before = _by_parent(self.changed(video.video_id), asker.answered_by("counterfactual"))
            for work in works:
                work.stand(before.get(work.query.query_id, ()), known, self.options.max_words)
            for _ in range(1 + self.options.rounds):
                await self._write(asker, [work for work in works if work.unwritten], known, refused)
                await self._verify(works, of_video, shown, refused)
        kept: list[Query] = []
        for work in works:
            work.part()
            kept += work.queries(drops, asker.answered_by("counterfactual"))
            work.report(drops)
        return Output(records=kept, dropped=drops.records, failure=joint_failure(refused))

    async def _write(
        self, asker: Asker, works: Sequence[_Work], known: KnownWordings, refused: dict[str, Refusal]
    ) -> None:
        """One question for each query, all together; what can be used becomes the work's candidates."""
        inputs = [work.inputs(self.options.max_words) for work in works]
        for work, outcome in zip(
            works, await asker.outcomes("counterfactual", CounterfactualReply, inputs), strict=True
        ):
            if isinstance(outcome, Refusal):
                refused[work.query.query_id] = outcome
                work.unread |= work.pending
                work.pending.clear()
            else:
                work.take(parsed_reply(outcome, CounterfactualReply).queries, known, self.options.max_words)

    async def _verify(
        self,
        works: Sequence[_Work],
        known: Known,
        shown: Sequence[Frames],
        refused: dict[str, Refusal],
    ) -> None:
        """All candidates in one batch for each judge, with the frames that it is `shown`. One that no judge takes for
        answered is kept."""
        candidates = [(work, variant) for work in works for variant in work.candidates]
        if not candidates:
            return
        asked = [_Asked(work.query.view, work.candidates[variant]) for work, variant in candidates]
        judges = zip(self.judges, shown, strict=True)
        answers = await asyncio.gather(*(_judged(judge, asked, known, frames) for judge, frames in judges))
        for (work, variant), outcomes in zip(candidates, zip(*answers, strict=True), strict=True):
            unread = next((outcome for outcome in outcomes if isinstance(outcome, Refusal)), None)
            if unread:
                refused[f"{work.query.query_id} {variant}"] = unread
            work.settle(variant, unread, _verdict(variant, outcomes))


def _by_parent(changed: Iterable[Query], teacher: TeacherRef) -> dict[str, list[ChangedReply]]:
    """What the teacher wrote before, as it wrote it, by the query that it was written of."""
    found: dict[str, list[ChangedReply]] = {}
    for query in changed:
        if query.teacher == teacher and query.variant != "original" and query.parent_query_id:
            facets = [facet_inputs(facet) for facet in query.facets]
            reply = ChangedReply.model_validate({"variant": query.variant, "text": query.text, "facets": facets})
            found.setdefault(query.parent_query_id, []).append(reply)
    return found


class _Asked(NamedTuple):
    """A candidate, as a judge is asked for it."""

    view: View
    written: ChangedReply

    @property
    def facets(self) -> Sequence[FacetReply]:
        return self.written.facets


async def _judged(judge: Judge, asked: Sequence[_Asked], known: Known, frames: Frames) -> list[Outcome]:
    requests = [
        Request("judge", {**judge.told(known, each), "query": each.written.text}, judge.sampling, frames)
        for each in asked
    ]
    return await judge.teacher.complete(requests)


def _verdict(variant: WrittenVariant, outcomes: Sequence[Outcome]) -> tuple[str, str] | None:
    """Reason and detail of the first judge that says the opposite of what the variant is for; None where none does."""
    wrong, reason, told = (
        ("no", "not_answered", "the video does not answer it")
        if variant == "negated_absent"
        else ("yes", "still_answered", "the video answers it")
    )
    for outcome in outcomes:
        if not isinstance(outcome, Refusal) and outcome.answer and outcome.answer.verdict == wrong:
            return reason, clean(outcome.reasoning, 300) or told
    return None


@dataclass(slots=True)
class _Work:
    """One query and what has been written of it: the variants it is to have (`pending` are those still to be written,
    `unread` those that a judge gave no readable answer on), those that wait for the judges, those that are kept, and
    what was rejected: variant, text, reason, detail."""

    query: Query
    wanted: frozenset[WrittenVariant]
    pending: set[WrittenVariant]
    elsewhere: list[JsonValue] = field(default_factory=list)
    unread: set[WrittenVariant] = field(default_factory=set)
    candidates: dict[WrittenVariant, ChangedReply] = field(default_factory=dict)
    kept: dict[WrittenVariant, ChangedReply] = field(default_factory=dict)
    rejected: list[tuple[WrittenVariant, str, str, str]] = field(default_factory=list)

    @classmethod
    def from_query(cls, query: Query, options: CounterfactualSettings) -> _Work:
        """The query with the variants that it can have."""
        asked = query.variant == "original" and query.kind != "composed" and query.view != "metadata"
        wanted: set[WrittenVariant] = {
            variant for variant in options.variants if asked and (variant != "reversed" or _has_a_direction(query))
        }
        sides: set[WrittenVariant] = {*wanted, *(_OTHER_SIDE[each] for each in wanted if each in _OTHER_SIDE)}
        return cls(query, frozenset(sides), sides)

    @property
    def unwritten(self) -> set[WrittenVariant]:
        """The variants that a teacher is asked for."""
        return self.pending - self.candidates.keys()

    def stand(self, before: Sequence[ChangedReply], known: KnownWordings, max_words: int) -> None:
        """Makes candidates of what was written before."""
        pending = set(self.pending)
        self.take(before, known, max_words)
        self.pending |= pending

    def inputs(self, max_words: int) -> dict[str, JsonValue]:
        """What the writer is asked."""
        return {
            "query": self.query.text,
            "language": self.query.language,
            "kind": self.query.kind,
            "facets": [facet_inputs(facet) for facet in self.query.facets],
            "variants": [*sorted(self.unwritten)],
            "elsewhere": self.elsewhere,
            "written": [
                {"variant": variant, "text": written.text}
                for variant, written in sorted({**self.candidates, **self.kept}.items())
                if _OTHER_SIDE.get(variant) in self.unwritten
            ],
            "rejected": [
                {"variant": variant, "text": text, "reason": detail}
                for variant, text, _, detail in self.rejected
                if text and variant in self.unwritten
            ],
            "max_words": max_words,
        }

    def take(self, written: Sequence[ChangedReply], known: KnownWordings, max_words: int) -> None:
        """Makes candidates of what is wanted and can be used."""
        for each in written:
            if each.variant not in self.pending or each.variant in self.candidates:
                continue
            text = clean(each.text)
            fault = (
                _unusable(each, text, max_words)
                or unlike(self.query, each.variant, text)
                or known.fault(each.variant, text, self.query.language)
            )
            if fault:
                self.rejected.append((each.variant, text, *fault))
            else:
                known.add(text)
                self.candidates[each.variant] = each.model_copy(update={"text": text})
        self.pending &= {
            each.variant for each in written
        } | self.candidates.keys()  # what was left out cannot be written for this query

    def settle(self, variant: WrittenVariant, unread: Refusal | None, fault: tuple[str, str] | None) -> None:
        """What the judges said of a candidate: it is kept, rejected, or given up since one of them cannot be read."""
        candidate = self.candidates.pop(variant)
        if fault and not unread:
            self.rejected.append((variant, candidate.text, *fault))
            return
        self.pending.discard(variant)
        if unread:
            self.unread.add(variant)
        else:
            self.kept[variant] = candidate

    def part(self) -> None:
        """Takes back what is kept of a block whose other side came to nothing."""
        for variant, written in sorted(self.kept.items()):
            other = _OTHER_SIDE.get(variant)
            if other is not None and other not in self.kept and other not in self.unread:
                del self.kept[variant]
                detail = f"its other side, {other}, could not be had"
                self.rejected.append((variant, written.text, "other_side_missing", detail))

    def queries(self, drops: DropLog, teacher: TeacherRef) -> Iterator[Query]:
        """What is kept, as records."""
        for variant, written in sorted(self.kept.items()):
            yield Query.create(
                text=written.text,
                language=self.query.language,
                view=self.query.view,
                kind=_KINDS.get(variant, self.query.kind),
                variant=variant,
                length=length_class(written.text),
                style=self.query.style,
                facets=drops.facets(f"{variant} of {self.query.query_id}", written.facets),
                source_video_id=self.query.source_video_id,
                parent_query_id=self.query.query_id,
                teacher=teacher,
            )

    def report(self, drops: DropLog) -> None:
        """Records the variants that came to nothing, each with its last reason."""
        for variant in sorted(self.wanted - self.kept.keys() - self.unread):
            last = next((each for each in reversed(self.rejected) if each[0] == variant), None)
            _, text, reason, detail = last or (variant, "", _NOT_WRITTEN, "the teacher wrote none")
            said = f": {clean(text, 200)!r}" if text else ""
            drops.drop(reason, f"{variant}{said}: {detail}", self.query.query_id)


def _unusable(each: ChangedReply, text: str, max_words: int) -> tuple[str, str] | None:
    """Reason and detail of what keeps a reply from being a query."""
    if not text:
        return "empty", "says nothing that can be shown"
    if len(text.split()) > max_words:
        return "too_long", f"{len(text.split())} words, and at most {max_words} were asked for"
    if not each.facets:
        return "no_facets", "does not say what must be seen or heard"
    return None


def _has_a_direction(query: Query) -> bool:
    """Whether the query can be turned round in time: it has two facets one after the other, or something that is
    seen to happen. Words that are only there to be read or heard have no reverse."""
    spans = sorted((facet.span.start, facet.span.end) for facet in query.facets if facet.span)
    ordered = any(one[1] <= other[0] for one in spans for other in spans)
    return ordered or any(facet.modality in ("motion", "visual") for facet in query.facets)
