"""The measures of a run against qrels. They are ir_measures' own, which are mostly trec_eval's code.

All measures break ties by trec_eval's rule (see `schemas/trec.py`). Every query of the qrels counts: one that the run
lacks scores 0, and so does one that has no relevant document.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.limits import MAX_GRADE
from hardcut.schemas.trec import Qrels, Run, ranking

MEASURES = ("nDCG@10", "R@10", "R@100", "RR", "AP", "Success@1", "Success@5", "Judged@10")
"""What `hardcut evaluate` measures unless told: the mean of RR (reciprocal rank) is MRR; the mean of AP (average
precision) is MAP."""


def ndcg(qrels: Qrels, run: Run, k: int = 10) -> float:
    """Mean nDCG@k over every query of the qrels. Raises UsageError where the qrels hold no query."""
    values = ndcg_per_query(qrels, run, k)
    if not values:
        raise UsageError("the qrels hold no query: there is nothing to measure")
    return math.fsum(values.values()) / len(values)


def ndcg_per_query(qrels: Qrels, run: Run, k: int = 10) -> dict[str, float]:
    """nDCG@k of each query of the qrels, in their order: linear gain, log2 discount (Järvelin and Kekäläinen, 2002)."""
    name = f"nDCG@{k}"
    return per_query(qrels, run, [name])[name]


def per_query(qrels: Qrels, run: Run, measures: Sequence[str] = MEASURES) -> dict[str, dict[str, float]]:
    """Each measure (by its name in ir_measures) of each query of the qrels, in their order; a grade of 1 is relevant.

    A grade below 0, as some qrels have for spam, counts as 0 in every measure: trec_eval's own code reads beyond its
    tables there. Queries of the run that the qrels lack are passed over. Raises UsageError for a measure that there is
    not.
    """
    judged = {query: {document: max(grade, 0) for document, grade in grades.items()} for query, grades in qrels.items()}
    ranked = {query: _strictly_ordered(scores) for query, scores in run.items() if query in judged and scores}
    found: dict[str, dict[str, float]] = {name: dict.fromkeys(judged, 0.0) for name in measures}
    parsed = {name: _parsed(name) for name in measures}
    exponential = {name: _linear(measure) for name, measure in parsed.items() if _is_exponential(measure)}
    linear = {name: measure for name, measure in parsed.items() if name not in exponential}
    if judged and ranked:
        if linear:
            _calculate(linear, judged, ranked, found)
        if exponential:
            _calculate(exponential, _gains(judged), ranked, found)
    return found


def _calculate(
    measures: Mapping[str, Any], judged: Qrels, ranked: Mapping[str, Mapping[str, float]], found: dict[str, Any]
) -> None:
    """Puts each measure of each query into `found`."""
    import ir_measures

    names = {measure: name for name, measure in measures.items()}
    try:
        for metric in ir_measures.iter_calc(list(names), judged, ranked):
            found[names[metric.measure]][metric.query_id] = float(metric.value)
    except ValueError as error:  # a measure of which nothing that is installed knows how to compute it
        raise UsageError(f"a measure cannot be computed here: {str(error).splitlines()[0]}") from error


def _is_exponential(measure: Any) -> bool:
    """Whether a measure is nDCG with the gain 2^grade - 1 (Burges and others, 2005). The one program that ir_measures
    has for it takes numbers as ids alone."""
    return bool(measure.NAME == "nDCG" and dict(measure.params).get("dcg") == "exp-log2")


def _linear(measure: Any) -> Any:
    import ir_measures

    cutoff = dict(measure.params).get("cutoff")
    return ir_measures.nDCG @ cutoff if cutoff is not None else ir_measures.nDCG


def _gains(judged: Qrels) -> dict[str, dict[str, int]]:
    """The qrels with the gain of each grade in its place. Raises UsageError for a grade whose gain is out of range."""
    highest = max((grade for grades in judged.values() for grade in grades.values()), default=0)
    if highest > MAX_GRADE.bit_length() - 1:
        raise UsageError(f"the gain of the grade {highest:,} is out of range: use nDCG with linear gain (nDCG@10)")
    return {query: {document: 2**grade - 1 for document, grade in grades.items()} for query, grades in judged.items()}


def _parsed(name: str) -> Any:
    with needs("ir_measures", "eval"):
        import ir_measures
    try:
        measure = ir_measures.parse_measure(name)
        hash(measure)  # fails where a parameter is none of the measure's
        return measure
    except (KeyError, NameError, ValueError) as error:
        raise UsageError(
            f"{name!r} is no measure of ir_measures: write nDCG@10, R@100, RR, AP, Success@5, ..."
        ) from error


def _strictly_ordered(scores: Mapping[str, float]) -> dict[str, float]:
    """The same order without ties: trec_eval compares in single precision, where close scores become equal."""
    return {document: float(-rank) for rank, document in enumerate(ranking(scores))}
