"""What every request to a teacher says about a video: one form, one order, so that a server can share the prefix."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import JsonValue

from hardcut.schemas.records import Evidence, Span, Video

SPAN_TOLERANCE_S = 0.5
"""A teacher's span may overhang the video by this much (rounding); it is then cut at the end."""


def video_inputs(video: Video, evidence: Iterable[Evidence]) -> dict[str, JsonValue]:
    """`video` and `evidence` of a request's inputs: evidence without a time first, the rest by start, kind and id."""
    return {"video": {"duration_s": video.duration_s}, "evidence": [_told(item) for item in by_time(evidence)]}


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


def _told(item: Evidence) -> dict[str, JsonValue]:
    return {
        "id": item.evidence_id,
        "kind": item.kind,
        "text": item.text,
        "start": item.span.start if item.span else None,
        "end": item.span.end if item.span else None,
        "confidence": item.confidence,
    }
