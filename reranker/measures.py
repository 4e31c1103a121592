"""nDCG of a run against qrels, and TREC files in and out. The measure itself is ir_measures' (trec_eval's code).

One rule for ties, trec_eval's own: by score, highest first; equal scores by document id, highest first. The run's
rank column is never looked at. Every query of the qrels counts: one that the run lacks scores 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from hardcut.schemas.errors import MissingDependency, StorageError, UsageError

V = TypeVar("V", int, float)

Qrels = Mapping[str, Mapping[str, int]]
"""Grades by document by query: `{query id: {document id: grade}}`."""
Run = Mapping[str, Mapping[str, float]]
"""Scores by document by query, higher is better: `{query id: {document id: score}}`."""


def ndcg(qrels: Qrels, run: Run, k: int = 10) -> float:
    """Mean nDCG@k over every query of the qrels. Raises UsageError where the qrels hold no query."""
    values = ndcg_per_query(qrels, run, k)
    if not values:
        raise UsageError("the qrels hold no query: there is nothing to measure")
    return math.fsum(values.values()) / len(values)


def ndcg_per_query(qrels: Qrels, run: Run, k: int = 10) -> dict[str, float]:
    """nDCG@k of each query of the qrels, in their order: linear gain, log2 discount (Järvelin and Kekäläinen, 2002).

    Queries of the run that the qrels lack are passed over.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise MissingDependency('ir_measures is not installed: pip install "hardcut[eval]"') from error
    judged = {query: dict(grades) for query, grades in qrels.items()}
    ranked = {query: _strictly_ordered(scores) for query, scores in run.items() if query in judged and scores}
    measure = ir_measures.nDCG @ k
    found = {metric.query_id: float(metric.value) for metric in ir_measures.iter_calc([measure], judged, ranked)}
    return {query: found.get(query, 0.0) for query in judged}


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Document ids in the order in which they are judged: by score, then by id, both highest first."""
    return [document for _, document in sorted(((score, id) for id, score in scores.items()), reverse=True)]


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """TREC qrels: `query iteration document grade`, a line each. Raises UsageError naming file and line."""
    return _read(path, "query iteration document grade", "grade", _grade)


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """A TREC run: `query Q0 document rank score tag`, a line each. Raises UsageError naming file and line."""
    return _read(path, "query Q0 document rank score tag", "score", _score)


def write_run(path: Path, run: Run, tag: str) -> None:
    """Writes a TREC run: queries by id, documents by `ranking`, scores in full precision, atomically.

    Raises UsageError for an id or tag with white space in it, which the format cannot hold.
    """
    lines = [
        f"{_column(query)} Q0 {_column(document)} {rank} {run[query][document]!r} {_column(tag)}\n"
        for query in sorted(run)
        for rank, document in enumerate(ranking(run[query]), 1)
    ]
    beside = path.with_name(f".{path.name}.writing")
    try:
        beside.write_text("".join(lines), encoding="utf-8", newline="\n")
        beside.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error


def _column(text: str) -> str:
    if text.split() != [text]:
        raise UsageError(f"{text!r} cannot stand in a TREC file, whose columns are parted by white space: rename it")
    return text


def _strictly_ordered(scores: Mapping[str, float]) -> dict[str, float]:
    """The same order without ties: trec_eval compares in single precision, where close scores become equal."""
    return {document: float(-rank) for rank, document in enumerate(ranking(scores))}


def _read(path: Path, columns: str, value: str, convert: Callable[[str], V]) -> dict[str, dict[str, V]]:
    names = columns.split()
    found: dict[str, dict[str, V]] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                cells = line.split()
                if not cells:
                    continue
                where = f"{path}, line {number}"
                if len(cells) != len(names):
                    raise UsageError(f"{where}: {len(cells)} columns, expected {len(names)} ({columns})")
                row = dict(zip(names, cells, strict=True))
                documents = found.setdefault(row["query"], {})
                if row["document"] in documents:
                    raise UsageError(f"{where}: query {row['query']} lists document {row['document']} a second time")
                try:
                    documents[row["document"]] = convert(row[value])
                except ValueError as error:
                    raise UsageError(f"{where}: {value} {row[value]!r} {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    return found


def _grade(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        raise ValueError("is not a number") from None
    if not math.isfinite(score):
        raise ValueError("is not finite")
    return score
