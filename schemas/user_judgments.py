"""The user's own judgments: TREC qrels, or the judgments.jsonl of an import."""

from __future__ import annotations

from pathlib import Path

from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.limits import checked_grade, checked_id, shown
from hardcut.schemas.records import Span
from hardcut.schemas.trec import read_qrels


def read_judgments(path: Path) -> dict[str, dict[str, int]]:
    """Grades by video by query: TREC qrels, or an import's judgments.jsonl. Raises UsageError naming file and line."""
    if path.suffix.lower() != ".jsonl":
        return read_qrels(path)
    found: dict[str, dict[str, int]] = {}
    for line, row in read_objects(path):
        query, video, grade = row.get("query_id"), row.get("video_id"), row.get("grade")
        if not isinstance(query, str) or not isinstance(video, str) or type(grade) is not int:
            raise UsageError(f"{path}, line {line}: expected query_id, video_id and a whole number as grade")
        try:
            checked_grade(grade)
            checked_id(query)
            checked_id(video)
        except ValueError as error:
            raise UsageError(f"{path}, line {line}: {shown(query)} {shown(video)} {shown(grade)}: {error}") from error
        if video in found.setdefault(query, {}):
            raise UsageError(f"{path}, line {line}: query {query} judges video {video} a second time")
        found[query][video] = grade
    return found


def read_moments(path: Path) -> dict[str, dict[str, tuple[Span, ...]]]:
    """The moments that an import's judgments.jsonl has, by video by query. Raises UsageError naming file and line."""
    found: dict[str, dict[str, tuple[Span, ...]]] = {}
    for line, row in read_objects(path) if path.suffix.lower() == ".jsonl" else ():
        spans = row.get("spans")
        if not spans:
            continue
        try:
            found.setdefault(str(row.get("query_id")), {})[str(row.get("video_id"))] = tuple(
                Span.model_validate(span) for span in spans
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path}, line {line}: spans is not a list of start and end in seconds") from error
    return found
