"""Stage scores: a teacher's verdict with its margin on every pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from hardcut.engine.stage import Failure, Output, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.ids import canonical_json
from hardcut.schemas.records import Caption, Evidence, Pair, Query, Sampling, TeacherLabel, TeacherRef, Video
from hardcut.synth.frames import Frames
from hardcut.synth.inputs import video_inputs
from hardcut.teacher.confidence import confidence
from hardcut.teacher.protocol import Outcome, Refusal, Request, Teacher

_UNREADABLE = frozenset({"invalid_reply", "truncated"})
"""Refusals where the teacher did answer, but not so that it can be read."""


@dataclass(frozen=True, slots=True)
class ScoreStage:
    """Makes the TeacherLabels of every candidate video: all its pairs in one batch, so that they share the prefix.

    `query` gives the Query of an id. Queries are looked up and not read as inputs because a unit holds only what is
    about its own video; keys are right all the same, since a pair names its query by a digest of the query's content.
    """

    teacher: Teacher
    frames: Frames
    sampling: Sampling
    query: Callable[[str], Query]

    name: ClassVar[str] = "scores"
    version: ClassVar[int] = 1
    over: ClassVar[type[Record]] = Pair
    reads: ClassVar[tuple[type[Record], ...]] = (Video, Evidence, Caption, Pair)
    makes: ClassVar[tuple[type[Record], ...]] = (TeacherLabel,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        teacher = self.teacher.describe("judge", self.sampling)
        return {"teacher": teacher.model_dump(mode="json"), "frames": self.frames.sampling}

    async def run(self, unit: Unit) -> Output:
        """A pair without a readable answer fails the unit in part: it gets an `unparsed` label, or none where the
        teacher never answered, and the failure names it and keeps what the teacher said."""
        video, pairs = unit.one(Video), unit.all(Pair)
        captions = unit.all(Caption)
        common = {**video_inputs(video, unit.all(Evidence)), "caption": captions[0].text if captions else None}
        async with self.frames.of(video) as stored:
            frames = stored.spread(self.sampling.max_frames)
            requests = [
                Request("judge", {**common, "query": self.query(pair.query_id).text}, self.sampling, frames)
                for pair in pairs
            ]
            outcomes = await self.teacher.complete(requests)
        teacher = self.teacher.describe("judge", self.sampling)
        labels = [_label(pair, outcome, teacher) for pair, outcome in zip(pairs, outcomes, strict=True)]
        refused = {
            pair.pair_id: outcome for pair, outcome in zip(pairs, outcomes, strict=True) if isinstance(outcome, Refusal)
        }
        records = [label for label in labels if label is not None]
        return Output(records=records, failure=_failure(refused) if refused else None)


def _label(pair: Pair, outcome: Outcome, teacher: TeacherRef) -> TeacherLabel | None:
    common = {"pair_id": pair.pair_id, "query_id": pair.query_id, "video_id": pair.video_id}
    if isinstance(outcome, Refusal):
        if outcome.reason not in _UNREADABLE:
            return None
        return TeacherLabel.create(**common, verdict="unparsed", teacher=teacher)
    if outcome.answer is None:
        raise TypeError("the teacher answered a judgment without an answer")
    told = confidence(outcome.answer)
    return TeacherLabel.create(
        **common,
        verdict=outcome.answer.verdict,
        logit_margin=told.logit_margin,
        p_yes=told.p_yes,
        logprob_yes=outcome.answer.logprob_yes,
        logprob_no=outcome.answer.logprob_no,
        exact=told.exact,
        reasoning=outcome.reasoning,
        teacher=outcome.teacher,
        tokens=outcome.tokens,
    )


def _failure(refused: Mapping[str, Refusal]) -> Failure:
    """One failure for all pairs of the video that got no answer; `raw` is a JSON object of pair id and reply."""
    reasons = sorted({refusal.reason for refusal in refused.values()})
    detail = "; ".join(f"{pair_id}: {refusal.reason}: {refusal.detail}" for pair_id, refusal in refused.items())
    raw = {pair_id: refusal.raw for pair_id, refusal in refused.items() if refusal.raw is not None}
    return Failure(reason="+".join(reasons), detail=detail, raw=canonical_json(raw) if raw else None)
