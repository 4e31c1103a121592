"""QVHighlights: JSON Lines of qid, query, duration, vid, relevant_windows, relevant_clip_ids, saliency_scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardcut.publish.formats.imported import Imported, Rating
from hardcut.publish.formats.reading import member, split_of_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.records import Span

CLIP_S = 2.0
"""Seconds of a clip; `relevant_clip_ids` count them from 0."""


def read(paths: Sequence[Path]) -> Imported:
    """A query is relevant to its video in its windows; the three annotators' grades (0 to 4) of each clip are kept as
    ratings. Lines of the test split have no windows: their queries are kept, and the judgment is skipped. A file whose
    name has a split's in it (highlight_val_release.jsonl) gives that split to its queries and videos."""
    found = Imported("qvhighlights")
    for path in paths:
        split = split_of_name(path)
        for number, row in read_objects(path):
            where = f"{path}, line {number}"
            qid, vid = member(where, row, "qid"), str(member(where, row, "vid"))
            query_id = found.query(where, qid, member(where, row, "query"), split=split)
            youtube = vid.rsplit("_", 2)[0] if vid.count("_") >= 2 else None
            found.video(where, vid, split=split, duration_s=row.get("duration"), source=youtube)
            if query_id is None:
                continue
            if row.get("relevant_windows") is None:
                found.skip(where, "no_judgment", f"query {query_id} has no relevant_windows (the test split)")
                continue
            spans = tuple(_span(where, window) for window in _list(where, row, "relevant_windows"))
            found.judgment(where, query_id, vid, int(bool(spans)), spans=spans, ratings=_ratings(where, row))
    return found


def _ratings(where: str, row: dict[str, Any]) -> tuple[Rating, ...]:
    clips, scores = _list(where, row, "relevant_clip_ids"), _list(where, row, "saliency_scores")
    if len(clips) != len(scores):
        raise UsageError(f"{where}: {len(clips)} relevant_clip_ids and {len(scores)} saliency_scores")
    found = []
    for clip, grades in zip(clips, scores, strict=True):
        if not _whole(clip) or clip < 0 or not isinstance(grades, list) or not all(map(_whole, grades)):
            raise UsageError(f"{where}: saliency_scores are lists of whole numbers, a list for each clip")
        span = Span(start=clip * CLIP_S, end=(clip + 1) * CLIP_S)
        try:
            found += [Rating(annotator=str(place), grade=grade, span=span) for place, grade in enumerate(grades, 1)]
        except ValueError as error:
            raise UsageError(f"{where}: saliency_scores: {' '.join(str(error).split())}") from error
    return tuple(found)


def _list(where: str, row: dict[str, Any], name: str) -> list[Any]:
    """A field that is a list, or is not there."""
    value = row.get(name)
    if value is not None and not isinstance(value, list):
        raise UsageError(f"{where}: {name} is {value!r}: a list is expected")
    return value or []


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _span(where: str, window: Any) -> Span:
    try:
        start, end = window
        return Span(start=start, end=end)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: the window {window!r} is not [start, end] in seconds") from error
