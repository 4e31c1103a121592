"""How well an embedder in training does on the validation split: nuances told apart, and judged documents ranked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sentence_transformers.base.evaluation import BaseEvaluator

from hardcut.embedder.examples import Held, Item
from hardcut.reranker.measures import ndcg

if TYPE_CHECKING:
    from hardcut.engine.vectors import Matrix

NDCG, NUANCES, BOTH = "ndcg@10", "nuances", "mean of ndcg@10 and nuances"
"""The figures, by the names that logs and `train.json` have."""
Encode = Callable[[Sequence[Item], str], "Matrix"]
"""Vectors of length 1 for items, as queries or as documents."""


def measured_by(held: Held) -> str | None:
    """The figure that chooses the best checkpoint; None where there is nothing to measure on. A nuance gained must not
    be retrieval lost, so where there are both, their mean."""
    if held.triplets and held.qrels:
        return BOTH
    return NUANCES if held.triplets else NDCG if held.qrels else None


def figures(held: Held, encode: Encode) -> dict[str, float]:
    """nDCG@10 of the judged documents, and the share of triplets whose positive is nearer than the negative: of each
    nuance, and as the mean over nuances. A tie is not told apart."""
    found: dict[str, float] = {}
    if held.qrels:
        found[NDCG] = ndcg(held.qrels, _run(held, encode))
    if held.triplets:
        right: defaultdict[str, list[bool]] = defaultdict(list)
        anchors = encode([told.anchor for told in held.triplets], "query")
        positives, negatives = (
            encode([getattr(told, side) for told in held.triplets], "document") for side in ("positive", "negative")
        )
        near = (anchors * positives).sum(1) > (anchors * negatives).sum(1)
        for told, passed in zip(held.triplets, near.tolist(), strict=True):
            right[told.nuance].append(passed)
        found |= {f"{NUANCES}_{nuance}": fmean(of) for nuance, of in sorted(right.items())}
        found[NUANCES] = fmean(fmean(of) for of in right.values())
    if held.triplets and held.qrels:
        found[BOTH] = fmean((found[NDCG], found[NUANCES]))
    return found


def _run(held: Held, encode: Encode) -> dict[str, dict[str, float]]:
    queries, documents = sorted(held.qrels), sorted(held.documents)
    place = {id: at for at, id in enumerate(documents)}
    asked = encode([held.queries[id] for id in queries], "query")
    found = encode([held.documents[id] for id in documents], "document")
    return {
        query: {id: float(asked[at] @ found[place[id]]) for id in held.qrels[query]} for at, query in enumerate(queries)
    }


class Measured(BaseEvaluator):  # type: ignore[misc,unused-ignore]
    """The figures, as sentence-transformers' trainer asks for them."""

    def __init__(self, held: Held, encode: Encode) -> None:
        super().__init__()
        self._held, self._encode = held, encode

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        training = model.training
        model.eval()
        try:
            return figures(self._held, self._encode)
        finally:
            model.train(training)
