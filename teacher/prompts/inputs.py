"""What the stages hand over with each task, for teachers that read it as it is. Times are in seconds."""

from __future__ import annotations

from pydantic import Field

from hardcut.schemas.base import Frozen
from hardcut.schemas.records import EvidenceKind, Length, Modality, QueryKind, Register
from hardcut.schemas.triplets import Nuance
from hardcut.teacher.prompts.reply_models import WrittenVariant, WrittenView


class VideoInput(Frozen):
    """Facts of the video. `looked_s`: for how long movement was looked for; None where an earlier version probed it."""

    duration_s: float
    looked_s: float | None = None


class EvidenceLine(Frozen):
    """One thing that was found in the video. Times are null where it has none."""

    id: str
    kind: EvidenceKind
    text: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


class ClaimLine(Frozen):
    """A claim of the caption with the ids of the evidence that it cites."""

    text: str
    start: float | None = None
    end: float | None = None
    evidence: tuple[str, ...] = ()


class CaptionInputs(Frozen):
    """Inputs of `caption`."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    max_words: int


class NumberedClaim(ClaimLine):
    """A claim that is judged or corrected by its number; 0 is the short caption. `problem`: what a check said of it."""

    number: int
    problem: str = ""


class CheckInputs(Frozen):
    """Inputs of `check` and `refine`."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    claims: tuple[NumberedClaim, ...]


class FormInput(Frozen):
    """How one query is to be worded: its view, the most words, and the way of searching; the kind to write where the
    material bears it, who would search so, and what for."""

    view: WrittenView
    length: Length
    words: int
    style: Register
    kind: QueryKind = "event"
    persona: str = ""
    intent: str = ""


class QueriesInputs(Frozen):
    """Inputs of `queries`. `views` are all that are asked for of the video, and `view` is the one that this request is
    about (all of them, where it is None). `forms` has one for each query that is asked for, `kinds` those that the
    view can bear, and `written` the texts of the other views, where they were written before.

    A model gets the material of the view alone (`teacher/material.py`)."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    caption: str = ""
    claims: tuple[ClaimLine, ...] = ()
    views: tuple[WrittenView, ...] = ()
    view: WrittenView | None = None
    kinds: tuple[QueryKind, ...] = ()
    per_view: int
    max_words: int
    forms: tuple[FormInput, ...] = ()
    written: tuple[str, ...] = ()


class DifferenceLine(Frozen):
    """What is told of the video, and what of the reference in its place; null where one has nothing to match."""

    here: str | None
    there: str | None


class ComposeInputs(Frozen):
    """Inputs of `compose`. `reference` is the caption of the video that the query starts from."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    caption: str
    claims: tuple[ClaimLine, ...]
    reference: str
    relation: str
    differences: tuple[DifferenceLine, ...]
    max_words: int


class FacetLine(Frozen):
    """A facet of a query."""

    text: str
    modality: Modality
    start: float | None = None
    end: float | None = None


class WrittenQuery(Frozen):
    """A query that was written before."""

    number: int
    text: str
    language: str


class ParaphraseInputs(Frozen):
    """Inputs of `paraphrase`."""

    queries: tuple[WrittenQuery, ...]
    count: int
    max_words: int


class DecomposeInputs(Frozen):
    """Inputs of `decompose`."""

    queries: tuple[WrittenQuery, ...]


class TranslateInputs(Frozen):
    """Inputs of `translate`."""

    queries: tuple[WrittenQuery, ...]
    language: str


class SamePair(Frozen):
    """Two queries: does whatever answers the first answer the second?"""

    number: int
    first: str
    second: str


class SameInputs(Frozen):
    """Inputs of `same`."""

    pairs: tuple[SamePair, ...]


class ContrastInputs(Frozen):
    """Inputs of `contrast`: a caption, and the nuances in which another one is to differ from it."""

    text: str
    nuances: tuple[Nuance, ...]
    max_words: int


class Rejected(Frozen):
    """A counterfactual that did not do, and why."""

    variant: WrittenVariant
    text: str
    reason: str


class ElsewhereLine(Frozen):
    """Something that another video shows or says, and nothing that is known of this one."""

    text: str
    modality: Modality


class WrittenTurn(Frozen):
    """A variant that was written and taken."""

    variant: WrittenVariant
    text: str


class CounterfactualInputs(Frozen):
    """Inputs of `counterfactual`: one query that the video answers, and the variants of it that are asked for.
    `written` are those of it that stand, so that the other side of a block gets their form."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    caption: str
    query: str
    language: str
    kind: QueryKind
    facets: tuple[FacetLine, ...]
    variants: tuple[WrittenVariant, ...]
    elsewhere: tuple[ElsewhereLine, ...] = ()
    written: tuple[WrittenTurn, ...] = ()
    rejected: tuple[Rejected, ...]
    max_words: int


class ReferenceInput(Frozen):
    """What is told of the video that a composed query starts from."""

    caption: str | None


class JudgeInputs(Frozen):
    """Inputs of `judge`; `reasoning` is added from the sampling. `reference` is there where the query is composed."""

    video: VideoInput
    evidence: tuple[EvidenceLine, ...]
    query: str
    caption: str | None = Field(description="null where the judge is not to see it")
    reference: ReferenceInput | None = None
    reasoning: bool = True
