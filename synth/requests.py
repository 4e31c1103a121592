"""Questions about one video. They share its inputs and frames. Each answer is read by the model that it must fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from pydantic import BaseModel, JsonValue

from hardcut.engine.stage import Earlier, Failure, UnitStage
from hardcut.media.frames import Frame
from hardcut.schemas.errors import ItemError
from hardcut.schemas.ids import canonical_json, digest
from hardcut.schemas.records import Dropped, Facet, Sampling, TeacherRef, Video
from hardcut.schemas.text.clean import clean
from hardcut.synth.request_inputs import span_within
from hardcut.teacher.prompts.reply_models import FacetReply
from hardcut.teacher.protocol import Outcome, Refusal, Reply, Request, Task, Teacher, is_unsent

M = TypeVar("M", bound=BaseModel)


class Drops(Protocol):
    """Takes what is left out of a reply."""

    def drop(self, reason: str, detail: str, item: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Asker:
    """A teacher, with the inputs and frames that all questions about a video share. Parts of a reply that cannot be
    used go to `drops`."""

    teacher: Teacher
    sampling: Sampling
    about: Mapping[str, JsonValue] = field(default_factory=dict)
    frames: tuple[Frame, ...] = ()
    drops: Drops | None = None

    async def ask(self, task: Task, reply: type[M], **inputs: JsonValue) -> M:
        """The answer to one question. Raises ItemError where there is none."""
        [answer] = await self.ask_all(task, reply, [inputs])
        return answer

    async def ask_all(self, task: Task, reply: type[M], inputs: Iterable[Mapping[str, JsonValue]]) -> list[M]:
        """The answers to several questions that go out together. Raises ItemError where one of them has none."""
        return [parsed_reply(outcome, reply) for outcome in await self.outcomes(task, reply, inputs)]

    async def outcomes(
        self, task: Task, reply: type[BaseModel], inputs: Iterable[Mapping[str, JsonValue]]
    ) -> list[Outcome]:
        """As `ask_all`, with refusals as they are."""
        return await self.send([self.request(task, reply, each) for each in inputs])

    def request(self, task: Task, reply: type[BaseModel], inputs: Mapping[str, JsonValue]) -> Request:
        """A question with what all of them share."""
        return Request(task, {**self.about, **inputs}, self.sampling, self.frames, reply)

    async def send(self, requests: Sequence[Request]) -> list[Outcome]:
        """The outcomes of requests that go out together, refusals as they are."""
        outcomes = await self.teacher.complete(requests) if requests else []
        for request, outcome in zip(requests, outcomes, strict=True):
            if self.drops and isinstance(outcome, Reply):
                for reason, detail in outcome.left_out:
                    self.drops.drop(reason, f"of a reply to {request.task}: {clean(detail, 300)}")
        return outcomes

    def answered_by(self, task: Task) -> TeacherRef:
        """The teacher that answers this task."""
        return self.teacher.describe(task, self.sampling)


def parsed_reply(outcome: Outcome, reply: type[M]) -> M:
    """The value of an answer. Raises ItemError for a refusal, with what the teacher said."""
    if isinstance(outcome, Refusal):
        raise ItemError(outcome.reason, outcome.detail, outcome.raw)
    if not isinstance(outcome.parsed, reply):
        raise TypeError(f"the teacher answered with {type(outcome.parsed).__name__} instead of {reply.__name__}")
    return outcome.parsed


def refuse_unsent(refused: Mapping[str, Refusal]) -> None:
    """Raises ItemError for a question that waits to be sent: what rests on its answer is asked once it is there."""
    for refusal in refused.values():
        if is_unsent(refusal):
            raise ItemError(refusal.reason, refusal.detail)


def joint_failure(refused: Mapping[str, Refusal]) -> Failure | None:
    """One failure for all refusals; `raw` is a JSON object of questions and replies. None where there are none."""
    if not refused:
        return None
    reasons = sorted({refusal.reason for refusal in refused.values()})
    detail = "; ".join(f"{name}: {refusal.reason}: {refusal.detail}" for name, refusal in refused.items())
    raw = {name: refusal.raw for name, refusal in refused.items() if refusal.raw is not None}
    return Failure(reason="+".join(reasons), detail=detail, raw=canonical_json(raw) if raw else None)


def describe_tasks(teacher: Teacher, tasks: Sequence[Task], sampling: Sampling) -> dict[str, JsonValue]:
    """The teacher of each task, for the settings of a stage."""
    return {task: teacher.describe(task, sampling).model_dump(mode="json") for task in tasks}


def by_former_rules(stage: UnitStage, revisions: Mapping[Task, str], versions: Sequence[int]) -> list[Earlier]:
    """Earlier versions of a stage in which the `evidence` teacher had these revisions of its rules at some tasks. Other
    teachers stay as they are: with them the present version is none of the earlier ones."""
    teachers = stage.settings["teachers"]
    assert isinstance(teachers, dict)
    former = dict(teachers)
    for task, revision in revisions.items():
        teacher = TeacherRef.model_validate(teachers[task]) if task in teachers else None
        if teacher is not None and teacher.backend == "evidence":
            before = {"revision": revision, "prompt_digest": digest("evidence", revision, task)}
            former[task] = teacher.model_copy(update=before).model_dump(mode="json")
    others = [version for version in versions if version != stage.version or former != teachers]
    return [Earlier(version, {**stage.settings, "teachers": former}) for version in others]


@dataclass(slots=True)
class DropLog:
    """The parts of a video that a stage leaves out, with reasons."""

    video: Video
    stage: str
    records: list[Dropped] = field(default_factory=list)

    def drop(self, reason: str, detail: str, item: str | None = None) -> None:
        """Records a part under `item`, or under the video where there is none."""
        item = item or self.video.video_id
        self.records.append(Dropped.create(item=item, stage=self.stage, reason=reason, detail=detail))

    def facets(self, what: str, written: Iterable[FacetReply]) -> tuple[Facet, ...]:
        """The facets that a teacher gave for `what`. A span outside the video is dropped, and so is an empty facet."""
        facets = []
        for facet in written:
            text, span = clean(facet.text), None
            try:
                span = span_within(facet.start, facet.end, self.video.duration_s)
            except ValueError as error:
                self.drop("span_outside", f"{what}, facet {clean(text, 80)!r}: {error}")
            if text:
                facets.append(Facet(text=text, modality=facet.modality, span=span))
            else:
                self.drop("empty", f"{what}: a facet says nothing that can be shown")
        return tuple(facets)
