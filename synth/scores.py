"""Stage scores: a teacher's verdict with its margin on every pair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.stage import Output, Unit
from hardcut.media.frames import Frame
from hardcut.schemas.base import Record
from hardcut.schemas.records import Caption, Evidence, Pair, Query, TeacherLabel, TeacherRef, Video
from hardcut.schemas.text_only import asked_text_only
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.judges import Judge, Known, unusual
from hardcut.synth.request_inputs import video_inputs
from hardcut.synth.requests import joint_failure
from hardcut.synth.shown_frames import shown_frames
from hardcut.teacher.confidence import confidence
from hardcut.teacher.protocol import Outcome, Refusal, Request

_UNREADABLE = frozenset({"invalid_reply", "truncated"})
"""Refusals where the teacher did answer, but not so that it can be read."""


@dataclass(frozen=True, slots=True)
class ScoreStage:
    """Makes the TeacherLabels of every candidate video: all its pairs in one batch for each judge, so that they share
    the prefix. Each pair gets a label of every judge for every sample; a judge's samples differ by their seed.

    The first judge is also asked without the video, by its metadata alone (`input` text_only), about source pairs and
    the best mined candidates of the same queries: what it tells by that, nobody has to watch for.

    For a composed query a judge is shown the reference too: its caption, and, where the video is shown, some of its
    frames after those of the video.

    `query` gives the Query of an id, `reference` Video and Caption of a video's id. They are looked up and not read as
    inputs because a unit holds only what is about its own video; keys are right all the same, since a pair names its
    query by a digest of the query's content and bears a digest of its reference.
    """

    judges: Sequence[Judge]
    frames: FrameSource
    query: Callable[[str], Query]
    reference: Callable[[str], Unit]
    samples: int = 1
    exact_within: float = 0.0

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "scores"
    version: ClassVar[int] = 4
    over: ClassVar[type[Record]] = Pair
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption, Pair)
    makes: ClassVar[tuple[type[Record], ...]] = (TeacherLabel,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        teachers = [judge.teacher.describe("judge", judge.sampling) for judge in self.judges]
        return {
            "teachers": [teacher.model_dump(mode="json") for teacher in teachers],
            "samples": self.samples,
            "frames": self.frames.sampling,
            **unusual(self.judges),
            **({"exact_within": self.exact_within} if self.exact_within else {}),
        }

    async def run(self, unit: Unit) -> Output:
        """A pair without a readable answer fails the unit in part: it gets an `unparsed` label, or none where the
        teacher never answered, and the failure names it and keeps what the teacher said."""
        labels = await asyncio.gather(
            *(self._ask(unit, judge) for judge in self.judges), self._ask_text_only(unit, self.judges[0])
        )
        records = [label for made, _ in labels for label in made]
        refused = {name: refusal for _, found in labels for name, refusal in found.items()}
        return Output(records=records, failure=joint_failure(refused))

    async def _ask(self, unit: Unit, judge: Judge) -> tuple[list[TeacherLabel], dict[str, Refusal]]:
        """A judge's labels of all pairs, and what it could not answer, by pair (and judge and sample, where there are
        several)."""
        video, pairs = unit.one(Video), unit.all(Pair)
        known = Known.from_records(video, unit.all(Evidence), next(iter(unit.all(Caption)), None))
        queries = {pair.pair_id: self.query(pair.query_id) for pair in pairs}
        asked = [(pair, sample) for pair in pairs for sample in range(self.samples)]
        samplings = [
            judge.sampling.model_copy(update={"seed": judge.sampling.seed + sample}) for sample in range(self.samples)
        ]
        async with AsyncExitStack() as stack:
            stored = await stack.enter_async_context(self.frames.leased(video))
            frames = shown_frames(stored, judge.sampling.max_frames, video, unit.all(Evidence))
            shown = await self._references(queries.values(), judge.sampling.max_reference_frames, stack)
            requests = [
                Request(
                    "judge",
                    {**judge.told(known, queries[pair.pair_id]), **self._told(queries[pair.pair_id])},
                    samplings[sample],
                    frames,
                    reference=shown.get(queries[pair.pair_id].reference_video_id, ()),
                )
                for pair, sample in asked
            ]
            outcomes = await judge.teacher.complete(requests)
        labels: list[TeacherLabel] = []
        refused: dict[str, Refusal] = {}
        for (pair, sample), outcome in zip(asked, outcomes, strict=True):
            teacher = judge.teacher.describe("judge", samplings[sample])
            label = _label(pair, sample, outcome, teacher, exact_within=self.exact_within)
            if label is not None:
                labels.append(label)
            if isinstance(outcome, Refusal):
                who = f" by {teacher.backend}:{teacher.model}" if len(self.judges) > 1 else ""
                which = f" sample {sample}" if self.samples > 1 else ""
                refused[f"{pair.pair_id}{who}{which}"] = outcome
        return labels, refused

    async def _ask_text_only(self, unit: Unit, judge: Judge) -> tuple[list[TeacherLabel], dict[str, Refusal]]:
        """The judge's labels by metadata alone. A video without any gives nothing away and is not asked about."""
        video, pairs = unit.one(Video), [pair for pair in unit.all(Pair) if asked_text_only(pair)]
        metadata = [item for item in unit.all(Evidence) if item.kind == "metadata"]
        if not pairs or not metadata:
            return [], {}
        common = {**video_inputs(video, metadata), "caption": None}
        outcomes = await judge.teacher.complete(
            [Request("judge", {**common, **self._told(self.query(pair.query_id))}, judge.sampling) for pair in pairs]
        )
        teacher = judge.teacher.describe("judge", judge.sampling)
        answered = zip(pairs, outcomes, strict=True)
        found = [
            (pair, outcome, _label(pair, 0, outcome, teacher, "text_only", self.exact_within))
            for pair, outcome in answered
        ]
        labels = [label for _, _, label in found if label is not None]
        return labels, {f"{pair.pair_id} text_only": out for pair, out, _ in found if isinstance(out, Refusal)}

    def _told(self, query: Query) -> dict[str, JsonValue]:
        """A query in the inputs of a judge."""
        if query.reference_video_id is None:
            return {"query": query.text}
        return {"query": query.text, "reference": {"caption": _caption(self.reference(query.reference_video_id))}}

    async def _references(
        self, queries: Iterable[Query], most: int, stack: AsyncExitStack
    ) -> dict[str | None, tuple[Frame, ...]]:
        """Frames of the videos that queries start from, by the video's id, for as long as `stack` lasts."""
        found: dict[str | None, tuple[Frame, ...]] = {}
        for video_id in sorted(
            {query.reference_video_id for query in queries if query.reference_video_id} if most else ()
        ):
            stored = await stack.enter_async_context(self.frames.leased(self.reference(video_id).one(Video)))
            found[video_id] = stored.spread(most)
        return found


def _caption(unit: Unit) -> str | None:
    return next((caption.text for caption in unit.all(Caption)), None)


def _label(
    pair: Pair,
    sample: int,
    outcome: Outcome,
    teacher: TeacherRef,
    input: Literal["full", "text_only"] = "full",
    exact_within: float = 0.0,
) -> TeacherLabel | None:
    common = {
        "pair_id": pair.pair_id,
        "query_id": pair.query_id,
        "video_id": pair.video_id,
        "sample": sample,
        "input": input,
    }
    if isinstance(outcome, Refusal):
        if outcome.reason not in _UNREADABLE:
            return None
        return TeacherLabel.create(**common, verdict="unparsed", teacher=teacher)
    if outcome.answer is None:
        raise TypeError("the teacher answered a judgment without an answer")
    measured = confidence(outcome.answer, exact_within)
    return TeacherLabel.create(
        **common,
        verdict=outcome.answer.verdict,
        logit_margin=measured.logit_margin,
        p_yes=measured.p_yes,
        logprob_yes=outcome.answer.logprob_yes,
        logprob_no=outcome.answer.logprob_no,
        token_logprob_yes=outcome.answer.token_yes,
        token_logprob_no=outcome.answer.token_no,
        exact=measured.exact,
        reasoning=outcome.reasoning,
        teacher=outcome.teacher,
        tokens=outcome.tokens,
        shown=outcome.shown,
    )
