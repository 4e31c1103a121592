"""What guards say. A guard keeps something out of a dataset, or a dataset from being published. It has three answers:
nothing found, found, could not look. The third never counts as the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from hardcut.schemas.base import Record
from hardcut.schemas.records import Id, Name, Text

Why = Literal["missing", "few"]
"""Why a guard could not look: what it reads failed or is not there; or there is too little of it to say anything."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A guard's answer about one item. `detail` says what was found, or what could not be looked at."""

    state: Literal["passed", "found", "unknown"]
    detail: str = ""
    why: Why = "missing"


PASSED = Answer("passed")


def found(detail: str) -> Answer:
    """The guard found something: the item is at fault."""
    return Answer("found", detail)


def could_not_look(detail: str, why: Why = "missing") -> Answer:
    """The guard could not look at the item, which may be sound or at fault."""
    return Answer("unknown", detail, why)


class Unchecked(Record):
    """An item of a run (a video or a query) that a guard could not look at, and that is still part of the run."""

    FILE: ClassVar[str] = "unchecked.jsonl"
    ID: ClassVar[str] = "unchecked_id"
    PREFIX: ClassVar[str] = "n"
    IDENTITY: ClassVar[tuple[str, ...]] = ("guard", "item", "why", "detail")

    unchecked_id: Id
    guard: Text
    item: Name
    why: Why
    detail: str = ""

    @classmethod
    def from_answer(cls, guard: str, item: str, answer: Answer) -> Unchecked:
        """The record of an answer that is `unknown`."""
        return cls.create(guard=guard, item=item, why=answer.why, detail=answer.detail)


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard that works during the run. It leaves out the items that it finds, with `name` as the reason in
    `dropped.jsonl`. Items that it could not look at stay, are listed in `unchecked.jsonl`, and block publishing.

    `items` is the kind of item, `reads` are the records that the guard reads. `setting` switches it on (empty: it is
    always on). `cannot_look` says when it has no answer.
    """

    name: str
    looks_for: str
    items: Literal["videos", "queries"]
    reads: tuple[str, ...]
    setting: str
    cannot_look: str
    counterfactuals: bool = True
    """Of a guard of queries: whether it is asked of counterfactuals too."""


GUARDS: tuple[Guard, ...] = (
    Guard(
        "near_duplicates", "the video is a copy of another: no negative of it, and in one split with it",
        "videos", ("Signature",), "duplicates.near", "the stage `signatures` failed for the video",
    ),
    Guard(
        "leak", "the query copies the title, the file's name or a line of the caption",
        "queries", ("Query", "Video", "Caption"), "filters.leak",
        "the query has no word, or its video no caption",
    ),
    Guard(
        "duplicate", "another query says the same, in nearly the same words or with its parts in another place",
        "queries", ("Query",), "filters.duplicate", "the query has no word",
    ),
    Guard(
        "ungrounded", "a facet of the query is nowhere in what was read, said, seen or told of its video",
        "queries", ("Query", "Evidence", "Caption"), "filters.ungrounded",
        "its video has no evidence, and no claim of a caption stands in for it",
        counterfactuals=False,
    ),
    Guard(
        "unsafe", "the query has a word or phrase of the list in `filters.unsafe`",
        "queries", ("Query",), "filters.unsafe", "the query, or an entry of the list, has no word",
    ),
    Guard(
        "positive_below_depth", "the first stage does not find the query's own video",
        "queries", ("Evidence", "Caption"), "", "never: what is not found is left out",
        counterfactuals=False,
    ),
    Guard(
        "negative_outscores_positive", "the first stage scores another video far above the query's own",
        "queries", ("Evidence", "Caption"), "", "the own video's score is not above 0, so no ratio can be told",
        counterfactuals=False,
    ),
    Guard(
        "misjudged_source", "the teacher denies that the query's own video answers it",
        "queries", ("TeacherLabel",), "filters.misjudged_source", "never: a pair without an answer is left out",
        counterfactuals=False,
    ),
    Guard(
        "unspecific", "the teacher finds that too many videos answer the query",
        "queries", ("TeacherLabel",), "filters.unspecific",
        "so many answers are missing or cannot be read that they could make the difference",
        counterfactuals=False,
    ),
    Guard(
        "without_watching", "the teacher tells the query's own video from others by their metadata alone",
        "queries", ("TeacherLabel",), "filters.without_watching",
        "answers by metadata alone are missing or cannot be read, or too few negatives were asked about",
        counterfactuals=False,
    ),
)  # fmt: skip
"""The guards of a run, in the order in which they work: those up to `negative_outscores_positive` before any pair is
scored. The first looks at videos, the others, the filters, at queries."""

FILTERS: Mapping[str, str] = {guard.name: guard.looks_for for guard in GUARDS if guard.items == "queries"}
"""What each filter looks for, by the reason that it gives."""
