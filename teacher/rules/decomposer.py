"""Users' queries taken apart without a model: what they name, in their order, and how one would find it out.

English alone is understood. A query in which no word of order stands is one facet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardcut.schemas.records import Modality
from hardcut.schemas.text.words import MOVEMENT, STOP_WORDS, words
from hardcut.teacher.prompts.inputs import DecomposeInputs
from hardcut.teacher.prompts.reply_models import DecomposedReply, DecomposeReply, PartReply
from hardcut.teacher.rules.antonyms import masked, turned_in_time
from hardcut.teacher.rules.judge import CUES, NEGATIONS
from hardcut.teacher.rules.mentions import QUOTED

_MOST = 6
"""Facets of a query."""
_ORDER = re.compile(
    r"(?:^|,?\s+)(?:before|and then|then|after|while|until|followed by|during)\s+|[;,]\s+", re.IGNORECASE
)
_DENIES = re.compile(rf"(?:\bbut\s+|\band\s+)?\b(?:{'|'.join(sorted(NEGATIONS))})\b.*", re.IGNORECASE | re.DOTALL)
_OPENING = re.compile(
    r"^(?:(?:an?|the)\s+)?(?:clip|video|scene|footage|film|moment|part)s?\b\s*"
    r"(?:of|about|where|in which|when|with|that shows?|showing)?\s*|^(?:when|where|which|what)\b\s*(?:is|are|does)?\s*",
    re.IGNORECASE,
)
_TOLD_BY: tuple[tuple[Modality, re.Pattern[str]], ...] = (
    (
        "metadata",
        re.compile(r"\b(titled|entitled|title|uploaded|channel|posted by|description|tagged)\b", re.IGNORECASE),
    ),
    ("speech", re.compile(r"\b(says?|said|saying|speaks?|speaking|spoken|tells?|announces?|shouts?)\b", re.IGNORECASE)),
    ("sound", re.compile(r"\b(sounds? of|noise|music|hear[sd]?|heard|rings?|applause|singing)\b", re.IGNORECASE)),
)
"""Words that say how a facet is found out, the more particular ones first."""


def decompose(inputs: DecomposeInputs) -> DecomposeReply:
    """The facets of each query; none of one that names nothing."""
    return DecomposeReply(
        queries=tuple(
            DecomposedReply(number=query.number, facets=tuple(_facets(query.text))[:_MOST]) for query in inputs.queries
        )
    )


def _facets(text: str) -> Iterator[PartReply]:
    for clause in _clauses(text):
        said = _denied_cut(clause)
        quotations = [match[0].strip('"') for match in QUOTED.finditer(said)]
        around = QUOTED.sub(" ", said)
        rest = _OPENING.sub("", " ".join(around.split()).strip(" ?.!,:")).strip()
        told = any(word not in STOP_WORDS and word not in CUES for word in words(rest))
        if told and not (quotations and _modality(rest) in ("speech", "metadata")):
            yield PartReply(text=rest, modality=_modality(rest))
        for quotation in quotations:
            if quotation.strip():
                found = _modality(around)
                yield PartReply(text=quotation, modality=found if found in ("speech", "metadata") else "ocr")


def _clauses(text: str) -> Iterator[str]:
    """The text between words of order, which do not count inside quotation marks."""
    begin = 0
    for match in _ORDER.finditer(masked(text)):
        yield text[begin : match.start()]
        begin = match.end()
    yield text[begin:]


def _denied_cut(clause: str) -> str:
    """A clause up to what it excludes."""
    denial = _DENIES.search(masked(clause))
    return clause[: denial.start()] if denial else clause


def _modality(text: str) -> Modality:
    for modality, cue in _TOLD_BY:
        if cue.search(text):
            return modality
    moves = any(word in MOVEMENT for word in words(text))
    return "motion" if moves or next(turned_in_time(text), None) else "visual"
