"""Shots, out of the cuts that were found among all pictures of a video (`media/cuts.py`)."""

from __future__ import annotations

from hardcut.media.cuts import GAP_S, Cut
from hardcut.media.survey import Survey
from hardcut.schemas.records import Evidence, Span, Video

_LEVELS = 0.75
"""Levels of 255, on average over the picture, for a unit of PySceneDetect's content value, which thresholds are in."""


def told_cuts(survey: Survey, threshold: float) -> list[Cut]:
    """The cuts that change the picture by at least `threshold`."""
    return [cut for cut in survey.cuts if cut.change >= _LEVELS * threshold]


def shot_evidence(video: Video, survey: Survey, threshold: float) -> list[Evidence]:
    """One line of evidence for each shot ("shot 2 of 3") whose ends are known: each a cut, or an end of the video.

    A cut lies half way between the two pictures it divides. Where pictures are missing, nobody knows of cuts.
    """
    cuts = told_cuts(survey, threshold)
    shots: list[tuple[float, float, float]] = []
    for start, end in survey.watched:
        inside = [cut for cut in cuts if start < cut.time_s <= end]
        edges = [(cut.before_s + cut.time_s) / 2 for cut in inside]
        changes = [0.0, *(cut.change for cut in inside)]
        first = [0.0] if start <= GAP_S else [None]
        last = [max(video.duration_s, end)] if survey.duration_s - end <= GAP_S else [None]
        bounds = [*first, *edges, *last]
        shots += [
            (begins, ends, change)
            for begins, ends, change in zip(bounds, bounds[1:], changes, strict=False)
            if begins is not None and ends is not None and end > start
        ]
    return [
        Evidence.create(
            video_id=video.video_id,
            kind="shot",
            text=f"shot {number + 1} of {len(shots)}",
            span=Span(start=start, end=end),
            support={"change": change} if change else None,
            extractor="scenedetect",
        )
        for number, (start, end, change) in enumerate(shots)
    ]
