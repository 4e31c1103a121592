"""nDCG of a run against qrels. The measure itself is ir_measures' (trec_eval's code).

Ties are broken by trec_eval's rule (see `schemas/trec.py`). Every query of the qrels counts: one that the run lacks
scores 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.trec import Qrels, Run, ranking


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


def _strictly_ordered(scores: Mapping[str, float]) -> dict[str, float]:
    """The same order without ties: trec_eval compares in single precision, where close scores become equal."""
    return {document: float(-rank) for rank, document in enumerate(ranking(scores))}
