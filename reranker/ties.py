"""How much of a figure hangs on ties. Equal scores are ordered by document id, which is a rule and no merit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from hardcut.reranker.measures import per_query
from hardcut.reranker.results import Ties
from hardcut.schemas.trec import Qrels, Run, ranking

FIRST = 10
"""Places of a ranking that are looked at for ties."""


def ties(qrels: Qrels, run: Run, measures: Sequence[str]) -> Ties | None:
    """What each measure would be with the ties of a run broken in the best and in the worst order; None where no query
    of the qrels has a tie.

    `queries` counts those with a tie that touches the first 10. Best puts the higher grade first, worst the lower; what
    is not judged counts as grade 0.
    """
    tied = {query: run[query] for query in qrels if len(set(run.get(query, {}).values())) < len(run.get(query, {}))}
    if not tied:
        return None
    judged = {query: scores for query, scores in run.items() if query in qrels}
    ordered = {
        sign: per_query(qrels, {query: _ordered(of, qrels[query], sign) for query, of in judged.items()}, measures)
        for sign in (-1, 1)
    }
    ranges = {name: (fmean(ordered[-1][name].values()), fmean(ordered[1][name].values())) for name in measures}
    return Ties(queries=sum(map(_touches, tied.values())), ranges=ranges)


def _touches(scores: Mapping[str, float]) -> bool:
    """Whether two that score alike compete for one of the first places."""
    first = [scores[document] for document in ranking(scores)[: FIRST + 1]]
    return any(one == other for one, other in pairwise(first))


def _ordered(scores: Mapping[str, float], grades: Mapping[str, int], sign: int) -> dict[str, float]:
    """The same order, where scores are equal by grade: the highest first (1) or last (-1)."""
    order = sorted(scores, key=lambda document: (scores[document], sign * max(0, grades.get(document, 0)), document))
    return {document: float(place) for place, document in enumerate(order)}
