"""Requests to teachers, and their answers. All backends use only these.

A request names its task and has structured `inputs`. A backend with a model renders them with the task's prompt
(`teacher/prompts/templates/TASK.*`); the `evidence` backend reads them as they are. So one stage serves both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from pydantic import BaseModel, JsonValue

from hardcut.media.frames import Frame
from hardcut.schemas.records import Sampling, TeacherRef, Tokens

Task = Literal[
    "caption",
    "check",
    "refine",
    "queries",
    "compose",
    "paraphrase",
    "translate",
    "same",
    "contrast",
    "counterfactual",
    "decompose",
    "judge",
]
"""What can be asked: `prompts/inputs.py` says what each is given, `replies.py` what must be answered."""


Shown = tuple[tuple[Frame, ...], tuple[Frame, ...]]
"""The frames of a request's video, and of its reference."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one video.

    `inputs` is what the task's prompt is filled with, as JSON; `reply` the model that the answer must fit, or `None`
    for `judge`, whose answer is free reasoning that ends in `<answer>yes</answer>` or `<answer>no</answer>`.
    `reference` are frames of another video: the one that the query, an edit of it, starts from.
    """

    task: Task
    inputs: Mapping[str, JsonValue]
    sampling: Sampling
    frames: tuple[Frame, ...] = ()
    reply: type[BaseModel] | None = None
    reference: tuple[Frame, ...] = ()

    @property
    def shown(self) -> Shown:
        """What tells apart requests that show different pictures."""
        return self.frames, self.reference

    @property
    def pictures(self) -> tuple[tuple[str, Frame], ...]:
        """All frames in the order in which they are shown, each with the text before it: the video's come first, so
        that all requests about one video begin alike."""
        video = ((f"<{frame.time_s:.1f} s>", frame) for frame in self.frames)
        return *video, *((f"<reference video, {frame.time_s:.1f} s>", frame) for frame in self.reference)


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes or no with both raw log-probabilities at the answer position, each summed over the spellings of its word that
    the server showed; None where it showed none. `unseen_yes` and `unseen_no` count the spellings of each word that it
    did not show, and `bound` is the largest log-probability that each of these can have had. `token_yes` and `token_no`
    are those of the canonical spellings alone, the pair that a student ranks by."""

    verdict: Literal["yes", "no"]
    logprob_yes: float | None = None
    logprob_no: float | None = None
    bound: float | None = None
    token_yes: float | None = None
    token_no: float | None = None
    unseen_yes: int = 0
    unseen_no: int = 0


class LeftOut(NamedTuple):
    """An item of a reply that was not whole (`cut_off`) or did not fit (`invalid_item`), and why."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that passed validation. `parsed` is the `reply` model's value, `answer` a judge's answer, `left_out` what
    of the reply could not be used. `shown`: how the model was shown what it judged, where that is known
    (`schemas/shown.py`)."""

    text: str
    teacher: TeacherRef
    parsed: BaseModel | None = None
    answer: Answer | None = None
    reasoning: str = ""
    tokens: Tokens = field(default_factory=Tokens)
    left_out: tuple[LeftOut, ...] = ()
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that got no valid reply. `reason` is a stable word (invalid_reply, truncated, http_400, timeout, ...),
    `raw` what the teacher said, word for word."""

    reason: str
    detail: str
    raw: str | None = None


NOT_SENT = "not_sent"
"""The reason of a refusal where questions are only listened to (`plan`, `batch write`)."""

Outcome = Reply | Refusal


def is_unsent(refusal: Refusal) -> bool:
    """Whether nobody was asked yet, so that there may be an answer later."""
    return refusal.reason == NOT_SENT


class Teacher(Protocol):
    """A model or rule that answers requests."""

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        """Who would answer, with the digest of the task's prompt; part of a stage's key. Sends nothing."""
        ...

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answers the requests of one video: same length, same order, one outcome for each.

        Raises BudgetReached, or MissingDependency where the server cannot be reached at all: both end the run,
        resumable.
        """
        ...

    async def ping(self) -> str:
        """Says in a few words that the teacher can answer, and what a server can do, which is asked once. Raises
        MissingDependency or UsageError with what to do where it cannot."""
        ...

    async def close(self) -> None:
        """Lets go of connections and processes."""
        ...
