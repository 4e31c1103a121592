"""What a teacher must reply, task by task. Each model is sent along as a JSON Schema, and the reply is read by it.

Every field is required in the schema, and none has a default there, as the strict mode of structured outputs asks; what
JSON Schema cannot say in that mode (order of times, form of a language tag) is checked here after reading. Where a
reply speaks of several things that it was shown, it does so by their `number`; one that it leaves out is one that it
says nothing of.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, model_validator

from hardcut.schemas.base import Frozen
from hardcut.schemas.records import Modality, QueryKind, Register
from hardcut.schemas.triplets import Nuance

WrittenView = Literal["caption", "speech", "sound", "ocr", "metadata", "all"]
"""The views that a query can be written from."""
WrittenVariant = Literal["reversed", "negated", "negated_absent", "facet_changed"]
"""The ways in which a query can be turned. The video answers `negated_absent`, and none of the others."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text.strip()


def _language_tag(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise ValueError(f"{text!r} is not a language tag of BCP 47, such as en or pt-BR")
    return text


def _listed(ids: Any) -> Any:
    return [ids] if isinstance(ids, str) else ids


Filled = Annotated[str, AfterValidator(_filled)]
LanguageTag = Annotated[str, AfterValidator(_language_tag)]


class _Timed(Frozen):
    """Something with a place in time: `start` and `end` in seconds, both or neither."""

    text: Filled
    start: float | None
    end: float | None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end are given together or are both null")
        if self.start is not None and self.end is not None and not 0 <= self.start <= self.end:
            raise ValueError(f"0 <= start <= end does not hold for start {self.start}, end {self.end}")
        return self


class ClaimReply(_Timed):
    """One sentence of the caption, which can be checked alone, and the ids of the evidence that it rests on."""

    evidence: Annotated[tuple[str, ...], BeforeValidator(_listed)]


class CaptionReply(Frozen):
    """The answer to `caption`: the caption is its claims, one after another, so that one can be taken out of it."""

    short: Filled
    claims: tuple[ClaimReply, ...]


class VerdictReply(Frozen):
    """Whether a claim is supported; `problem` says what is wrong with it, or is empty."""

    number: int
    problem: str
    supported: bool

    @model_validator(mode="before")
    @classmethod
    def _without_problem(cls, given: Any) -> Any:
        """A model that finds nothing wrong may leave the problem out, or say null."""
        return {**given, "problem": given.get("problem") or ""} if isinstance(given, dict) else given


class CheckReply(Frozen):
    """The answer to `check`."""

    claims: tuple[VerdictReply, ...]


class CorrectionReply(ClaimReply):
    """A claim in the place of the one of that number."""

    number: int


class RefineReply(Frozen):
    """The answer to `refine`."""

    claims: tuple[CorrectionReply, ...]


class FacetReply(_Timed):
    """One thing that must be seen or heard for the query to be answered."""

    modality: Modality


def _all_required(schema: dict[str, Any]) -> None:
    """A field with a default is required of a model all the same. The default is for functions and rules."""
    schema["required"] = list(schema["properties"])
    for field in schema["properties"].values():
        field.pop("default", None)


class QueryReply(Frozen):
    """One query. `style` is the one that it is written in, which should be the one that was asked for. `denies` names
    what the query says is absent, before it is said: it is looked for in the video."""

    model_config = ConfigDict(json_schema_extra=_all_required)

    text: Filled
    language: LanguageTag
    view: WrittenView
    kind: QueryKind
    style: Register
    facets: tuple[FacetReply, ...]
    denies: tuple[str, ...] = ()


class QueriesReply(Frozen):
    """The answer to `queries`; empty where no view has evidence."""

    queries: tuple[QueryReply, ...]


class ComposeReply(Frozen):
    """The answer to `compose`: the edit that turns the reference into the video."""

    text: Filled
    language: LanguageTag
    facets: tuple[FacetReply, ...]


class WordingReply(Frozen):
    """Another wording of the query of that number."""

    number: int
    text: Filled


class ParaphraseReply(Frozen):
    """The answer to `paraphrase`."""

    paraphrases: tuple[WordingReply, ...]


class TranslateReply(Frozen):
    """The answer to `translate`."""

    translations: tuple[WordingReply, ...]


class PartReply(Frozen):
    """One thing that must be seen or heard for a query to be answered, whatever the video."""

    text: Filled
    modality: Modality


class DecomposedReply(Frozen):
    """The parts of the query of that number."""

    number: int
    facets: tuple[PartReply, ...]


class DecomposeReply(Frozen):
    """The answer to `decompose`."""

    queries: tuple[DecomposedReply, ...]


class FollowsReply(Frozen):
    """Whether every video that answers the first query of the pair of that number answers the second one too."""

    number: int
    reason: str
    follows: bool


class SameReply(Frozen):
    """The answer to `same`."""

    pairs: tuple[FollowsReply, ...]


class TurnedReply(Frozen):
    """Another caption that differs from the given one in a nuance, and both in other words, worded alike. `edit` leads
    to it and `back` from it, where it is composed; otherwise they are empty."""

    nuance: Nuance
    text: Filled
    again: Filled
    text_again: Filled
    edit: str
    back: str


class ContrastReply(Frozen):
    """The answer to `contrast`."""

    contrasts: tuple[TurnedReply, ...]


class ChangedReply(Frozen):
    """A query that was turned in one way."""

    variant: WrittenVariant
    text: Filled
    facets: tuple[FacetReply, ...]


class CounterfactualReply(Frozen):
    """The answer to `counterfactual`."""

    queries: tuple[ChangedReply, ...]
