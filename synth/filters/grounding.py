"""Facets that nothing in the video bears out: what a writer made up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hardcut.schemas.guards import PASSED, Answer, could_not_look, found
from hardcut.schemas.records import Caption, Evidence, EvidenceKind, Facet, Modality, Query, Span
from hardcut.schemas.text.words import WordIndex, word_weight
from hardcut.synth.filters.filter import Filter
from hardcut.teacher.rules.judge import parse_query

_KINDS: dict[Modality, frozenset[EvidenceKind]] = {
    "ocr": frozenset({"ocr"}),
    "speech": frozenset({"speech"}),
    "metadata": frozenset({"metadata"}),
    "sound": frozenset({"sound"}),
    "motion": frozenset({"motion", "colour"}),
    "visual": frozenset({"motion", "colour"}),
}
_TEXTUAL: frozenset[Modality] = frozenset({"ocr", "speech", "metadata"})
_LEAST = 0.5
"""Of the weight of a facet's words, what must be found of text or speech, which evidence holds word for word."""
_SLACK_S = 1.0
"""How far a facet's time may differ from the time of what supports it; both are read at a few frames a second."""


def ungrounded(query: Query, evidence: Sequence[Evidence], captions: Iterable[Caption]) -> Answer:
    """The first facet that nothing bears out.

    What is read, said or told must be found in evidence of its kind and at its time by half of its words; of what is
    seen at least one word must be, in evidence or in a claim of the caption, if there is either at that time. Without
    any evidence nothing can be told of what is read, said or told, and without a claim too of nothing.
    """
    claims = [(claim.text, claim.span) for caption in captions for claim in caption.claims]
    for facet in query.facets:
        if not evidence and (facet.modality in _TEXTUAL or not claims):
            return could_not_look(f"nothing is known of its video that could bear out {facet.text!r}")
        lines = [(line.text, line.span) for line in evidence if line.kind in _KINDS[facet.modality]]
        if not _borne_out(facet, lines if facet.modality in _TEXTUAL else lines + claims):
            return found(f"{query.text!r}: {facet.modality} facet {facet.text!r} is not in what is known of the video")
    return PASSED


def _borne_out(facet: Facet, lines: Sequence[tuple[str, Span | None]]) -> bool:
    wanted = [word for clause in parse_query(facet.text).clauses for word in clause]
    if not wanted:
        return True  # it names nothing that could be looked up, or only what must be absent
    textual = facet.modality in _TEXTUAL
    near = [text for text, span in lines if _meets(facet.span, span)]
    if not near:
        return not textual
    index = WordIndex(near)
    found = sum(word_weight(word) for word in wanted if index.find(word))
    return found >= _LEAST * sum(map(word_weight, wanted)) if textual else found > 0


def _meets(facet: Span | None, line: Span | None) -> bool:
    if facet is None or line is None:
        return True
    return facet.start <= line.end + _SLACK_S and line.start <= facet.end + _SLACK_S


UNGROUNDED = Filter(
    "ungrounded",
    None,
    lambda written: ungrounded(written.query, written.evidence, written.captions),
    on=lambda settings: settings.ungrounded,
    counterfactuals=False,  # what those ask for is not to be there
)
