"""The inputs of a request about a video, in one form and one order, so that a server can share the prefix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from hardcut.schemas.records import Claim, Evidence, Facet, Span, Video

SUBTITLES = frozenset({"srt", "vtt", "ass", "ssa", "embedded"})
"""Extractors of speech that somebody wrote down."""
SPAN_TOLERANCE_S = 0.5
"""A teacher's span may overhang the video by this much (rounding); it is then cut at the end."""


def video_inputs(video: Video, evidence: Iterable[Evidence]) -> dict[str, JsonValue]:
    """`video` and `evidence` of a request's inputs: evidence without a time first, the rest by start, kind and id.

    Where subtitles say what is spoken, what a recogniser heard at that time is left out.
    """
    evidence = list(evidence)
    cues = [item.span for item in evidence if item.kind == "speech" and item.extractor in SUBTITLES and item.span]
    shown = [item for item in evidence if not _said_better(item, cues)]
    facts: dict[str, JsonValue] = {"duration_s": video.duration_s}
    if video.looked_s is not None:
        facts["looked_s"] = video.looked_s
    return {"video": facts, "evidence": [_evidence_input(item) for item in by_time(shown)]}


def claim_inputs(claim: Claim) -> dict[str, JsonValue]:
    """A claim of a caption with its span and what it cites."""
    return {"text": claim.text, **_times(claim.span), "evidence": list(claim.evidence_ids)}


def facet_inputs(facet: Facet) -> dict[str, JsonValue]:
    """A facet of a query with its span."""
    return {"text": facet.text, "modality": facet.modality, **_times(facet.span)}


def by_time(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Evidence in the order in which it is handed to teachers."""
    return sorted(evidence, key=lambda item: (item.span.start if item.span else -1.0, item.kind, item.evidence_id))


def span_within(start: float | None, end: float | None, duration_s: float) -> Span | None:
    """The span that a teacher gave, cut at the end of the video; None where it gave none.

    Raises ValueError where it lies outside the video by more than the tolerance.
    """
    if start is None or end is None:
        return None
    if not 0 <= start <= end or start > duration_s or end > duration_s + SPAN_TOLERANCE_S:
        raise ValueError(f"{start:g} to {end:g} s is outside the video (0 to {duration_s:g} s)")
    return Span(start=start, end=min(end, duration_s))


def _said_better(item: Evidence, cues: Sequence[Span]) -> bool:
    """Whether recognised speech lies under subtitles for at least half of its time."""
    span = item.span
    if item.kind != "speech" or item.extractor in SUBTITLES or span is None:
        return False
    under = sum(max(0.0, min(span.end, cue.end) - max(span.start, cue.start)) for cue in cues)
    return under > 0 and under >= 0.5 * (span.end - span.start)


def _evidence_input(item: Evidence) -> dict[str, JsonValue]:
    return {
        "id": item.evidence_id,
        "kind": item.kind,
        "text": item.text,
        **_times(item.span),
        "confidence": item.confidence,
    }


def _times(span: Span | None) -> dict[str, JsonValue]:
    return {"start": span.start if span else None, "end": span.end if span else None}
