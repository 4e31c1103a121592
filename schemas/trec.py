"""Reads and writes TREC runs and qrels. Ties are broken as in trec_eval: by score, then by id, both highest first.

A run's rank column is never read: ranks follow from the scores, as in trec_eval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsFloat, SupportsInt, TypeVar

from hardcut.schemas.errors import UsageError
from hardcut.schemas.limits import checked_grade, checked_id, shown, whole_number

V = TypeVar("V", int, float)

Qrels = Mapping[str, Mapping[str, int]]
"""Grades by document by query: `{query id: {document id: grade}}`."""
Run = Mapping[str, Mapping[str, float]]
"""Scores by document by query, higher is better: `{query id: {document id: score}}`."""


@dataclass(frozen=True, slots=True)
class TrecRun:
    """A run from a file: its tag, and its scores."""

    tag: str
    scores: Run


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Document ids in the order of a ranking: by score, then by id, both highest first."""
    return [document for _, document in sorted(((score, id) for id, score in scores.items()), reverse=True)]


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """TREC qrels: `query iteration document grade`, a line each. Raises UsageError naming file and line."""
    return {query: dict(grades) for query, grades in _read(path, "query iteration document grade", _grade)[1].items()}


def read_run(path: Path) -> TrecRun:
    """A TREC run: `query Q0 document rank score tag`, a line each, all of one tag.

    Raises UsageError naming file and line, also where there is no line.
    """
    tag, scores = _read(path, "query Q0 document rank score tag", _score)
    if not scores:
        raise UsageError(f"{path}: no line of a run in it")
    return TrecRun(tag, scores)


def checked_qrels(grades: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, int]]:
    """Qrels that a program gives, with what `read_qrels` asks of a file: whole grades, `True` and numpy's among them.
    Raises UsageError naming query and document."""
    return _checked(grades, "grade", _whole)


def checked_run(scores: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, float]]:
    """A run that a program gives, with what `read_run` asks of a file: finite scores. Raises UsageError naming query
    and document."""
    return _checked(scores, "score", _finite)


def _checked(
    values: Mapping[str, Mapping[str, object]], name: str, convert: Callable[[object], V]
) -> dict[str, dict[str, V]]:
    found: dict[str, dict[str, V]] = {}
    for query, documents in values.items():
        if not isinstance(query, str) or not isinstance(documents, Mapping):
            raise UsageError(f"query {shown(query)}: expected {{query id: {{document id: {name}}}}}, ids as texts")
        for document, value in documents.items():
            try:
                found.setdefault(query, {})[checked_id(document)] = convert(value)
            except (TypeError, ValueError) as error:
                why = str(error) if isinstance(error, ValueError) else "is none, or the id is no text"
                raise UsageError(
                    f"query {shown(query)}, document {shown(document)}: {name} {shown(value)} {why}"
                ) from error
        found.setdefault(query, {})
    return found


def _whole(value: object) -> int:
    if not isinstance(value, SupportsInt) or int(value) != value:
        raise ValueError("is not a whole number")
    return checked_grade(int(value))


def _finite(value: object) -> float:
    if not isinstance(value, SupportsFloat) or not math.isfinite(value):
        raise ValueError("is not a finite number")
    return float(value)


def format_run(run: Run, tag: str) -> Iterator[str]:
    """The lines of a TREC run: queries by id, documents by `ranking`, scores in full precision.

    Raises UsageError for an id or tag with white space in it, which the format cannot hold.
    """
    for query in sorted(run):
        for rank, document in enumerate(ranking(run[query]), 1):
            yield f"{_column(query)} Q0 {_column(document)} {rank} {run[query][document]!r} {_column(tag)}\n"


def _column(text: str) -> str:
    if text.split() != [text]:
        raise UsageError(f"{text!r} cannot stand in a TREC file, whose columns are parted by white space: rename it")
    return text


def _read(path: Path, columns: str, convert: Callable[[str], V]) -> tuple[str, dict[str, dict[str, V]]]:
    """The tag of the lines (empty for qrels) and the values by query and document."""
    names = columns.split()
    value = "score" if "score" in names else "grade"
    tag = ""
    found: dict[str, dict[str, V]] = {}
    for where, cells in _lines(path):
        if len(cells) != len(names):
            raise UsageError(f"{where}: {len(cells)} columns, expected {len(names)} ({columns})")
        row = dict(zip(names, cells, strict=True))
        tag = tag or row.get("tag", "")
        if row.get("tag", "") != tag:
            raise UsageError(f"{where}: the run is called {row['tag']!r} here and {tag!r} before: give one run a file")
        for name in ("query", "document"):
            try:
                checked_id(row[name])
            except ValueError as error:
                raise UsageError(f"{where}: {name} {shown(row[name])} {error}") from error
        documents = found.setdefault(row["query"], {})
        if row["document"] in documents:
            raise UsageError(f"{where}: query {row['query']} lists document {row['document']} a second time")
        try:
            documents[row["document"]] = convert(row[value])
        except ValueError as error:
            raise UsageError(f"{where}: {value} {shown(row[value])} {error}") from error
    return tag, found


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The place of each line that is not empty, and its columns."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if cells := line.split():
                    yield f"{path}, line {number}", cells
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _grade(text: str) -> int:
    try:
        grade = whole_number(text)
    except ValueError as error:
        raise ValueError(f"is not a whole number ({error})" if len(text) > 20 else "is not a whole number") from None
    return checked_grade(grade)


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(score):
        raise ValueError("is not finite")
    return score
