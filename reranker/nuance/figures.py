"""The figures of a benchmark out of a run's scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from hardcut.report.statistics.significance import Mean, measured
from hardcut.reranker.nuance.benchmark import Benchmark, Choice, Part
from hardcut.schemas.base import Frozen
from hardcut.schemas.trec import Run, ranking


class PartFigures(Frozen):
    """The figures of a part, from 0 to 1, each with its interval over queries. `lacking`: scores that the run does not
    have; what is not scored comes last, and a query without any scores 0."""

    part: str
    plain: bool
    measures: dict[str, Mean]
    lacking: int


class BenchmarkFigures(Frozen):
    """A run's figures of a benchmark, part by part."""

    benchmark: str
    run: str
    parts: tuple[PartFigures, ...]


def figures(benchmark: Benchmark, name: str, run: Run) -> BenchmarkFigures:
    """Measures a run. Ties are broken as in trec_eval, by the highest id; in a choice of one text or video over others
    (`accuracy`) a tie is wrong."""
    return BenchmarkFigures(
        benchmark=benchmark.name, run=name, parts=tuple(_part(part, run) for part in benchmark.parts)
    )


def _part(part: Part, run: Run) -> PartFigures:
    values: defaultdict[str, list[float]] = defaultdict(list)
    lacking = 0
    for choice in part.choices():
        scored = run.get(choice.query, {})
        scores = {each: scored[each] for each in choice.candidates if each in scored}
        lacking += len(choice.candidates) - len(scores)
        ranked = ranking(scores)
        for measure in part.measures:
            values[measure].append(MEASURES[measure](choice, scores, ranked))
    return PartFigures(
        part=part.name,
        plain=part.plain,
        measures={measure: measured(values[measure]) for measure in part.measures},
        lacking=lacking,
    )


def _average_precision(choice: Choice, scores: Mapping[str, float], ranked: Sequence[str]) -> float:
    """Precision at the place of each relevant candidate, over all of them."""
    found, total = 0, 0.0
    for place, candidate in enumerate(ranked, 1):
        if candidate in choice.relevant:
            found += 1
            total += found / place
    return total / len(choice.relevant) if choice.relevant else 0.0


def _hit(depth: int) -> Callable[[Choice, Mapping[str, float], Sequence[str]], float]:
    """Whether one of the first `depth` answers the query, which these papers call R@K."""
    return lambda choice, scores, ranked: float(any(each in choice.relevant for each in ranked[:depth]))


def _accuracy(choice: Choice, scores: Mapping[str, float], ranked: Sequence[str]) -> float:
    """Whether what answers the query scores higher than everything else."""
    right = [scores[each] for each in choice.relevant if each in scores]
    others = [each for each in choice.candidates if each not in choice.relevant]
    if not right or not all(each in scores for each in others):
        return 0.0
    return float(all(min(right) > scores[each] for each in others))


MEASURES: Mapping[str, Callable[[Choice, Mapping[str, float], Sequence[str]], float]] = {
    "mAP": _average_precision,
    "R@1": _hit(1),
    "R@5": _hit(5),
    "R@10": _hit(10),
    "R@50": _hit(50),
    "accuracy": _accuracy,
}
