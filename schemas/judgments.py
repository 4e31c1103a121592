"""Records of people's answers about a pair, and of its grade."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from hardcut.schemas.base import Record
from hardcut.schemas.limits import MAX_GRADE
from hardcut.schemas.records import Id, Sha256, Span, Text

Relevance = Literal[0, 1, 2]
"""What a reviewer says of a pair: the video does not answer the query, does in part, answers it. It is the scale of all
grades that Hardcut gives."""
ANSWERS: Relevance = 2
"""All that the query asks for is there. A teacher is asked just this, so that its yes is this grade."""
Flag = Literal["ambiguous", "unsafe", "unsafe_query", "broken_video", "wrong_language"]
"""What a reviewer says beside the answer. `unsafe` is the video, `unsafe_query` the words. `schemas/flags.py` says what
each does."""
Stratum = Literal["audit", "gold", "compared", "disagreement", "suspected", "margin", "counterfactual", "conflict"]
"""Why a pair was put before reviewers: drawn by chance, its answer is known, people who compared two videos
contradict its label, teachers disagree on it, its teacher
contradicts how it came about, its margin is near the threshold, it is a counterfactual, reviewers disagree on it."""


class Review(Record):
    """A person's answer. It belongs to the query text that was shown (`query_digest`), and to the video's file
    (`video_sha256`, None in answers of early versions).

    `blind`: no teacher's verdict was shown. Where one was, `suggested` is the relevance that it suggested. Argilla
    submits it as the answer if the reviewer does not change it. `adjudicates`: the answer of a further person after
    others disagreed; `expert`: of one whose answer settles it, also after others of theirs. `stratum` is the reason why
    the pair was asked about. `seconds` is the time of the answer, where it is known. `rewritten_query` is the wording
    that the reviewer proposes, `language` the tag of the query's language, where its own is wrong.
    """

    FILE: ClassVar[str] = "reviews.jsonl"
    ID: ClassVar[str] = "review_id"
    PREFIX: ClassVar[str] = "r"
    IDENTITY: ClassVar[tuple[str, ...]] = ("pair_id", "query_digest", "reviewer", "blind", "adjudicates")

    review_id: Id
    pair_id: Id
    query_id: Id
    video_id: Id
    query_digest: Sha256
    video_sha256: Sha256 | None = None
    reviewer: Text
    relevance: Relevance | None = None
    suggested: Relevance | None = None
    span: Span | None = None
    well_formed: bool | None = None
    rewritten_query: Text | None = None
    language: str | None = None
    flags: tuple[Flag, ...] = ()
    seconds: float | None = Field(default=None, ge=0)
    blind: bool
    adjudicates: bool = False
    expert: bool = False
    stratum: Stratum | None = None
    status: Literal["submitted", "draft", "discarded"]

    @property
    def changed(self) -> bool | None:
        """Whether the answer differs from the suggestion; `None` where nothing was suggested."""
        return None if self.suggested is None or self.relevance is None else self.relevance != self.suggested


class Judgment(Record):
    """The grade that training sees, who gave it, and the labels and reviews behind it.

    0: the video does not answer the query; 1: in part; 2: all that is asked for is there. Grades of the user's own file
    (`imported`) stand as they are there. `spans` are the moments that this file gives.
    """

    FILE: ClassVar[str] = "judgments.jsonl"
    ID: ClassVar[str] = "pair_id"

    pair_id: Id
    query_id: Id
    video_id: Id
    grade: int = Field(ge=0, le=MAX_GRADE)
    source: Literal["human", "adjudicated", "gold", "imported", "teacher"]
    support: tuple[Id, ...] = ()
    spans: tuple[Span, ...] = ()

    @model_serializer(mode="wrap")
    def _without_empty_spans(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Most judgments have no moment: these are written as earlier versions wrote them."""
        told: dict[str, Any] = handler(self)
        if not self.spans:
            told.pop("spans", None)
        return told
