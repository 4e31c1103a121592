"""Runs against qrels: measures with intervals, slices, comparisons, calibration, audits. Pure; reads no file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hardcut.report.statistics.calibration import Calibration, JudgedPair, calibrate
from hardcut.report.statistics.significance import Mean, holm, mean, measured, randomisation_test
from hardcut.reranker.audits import diagnostic, evaluated_splits, leaked, prior
from hardcut.reranker.facts import UNKNOWN, DatasetFacts
from hardcut.reranker.measures import MEASURES, per_query
from hardcut.reranker.results import (
    Comparison,
    Evaluation,
    MeasureDifference,
    QueryRow,
    RunResult,
)
from hardcut.reranker.ties import ties
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import Qrels, Run

RULES = (
    "Every query of the qrels counts; one that a run lacks scores 0. Ties in a run are broken by document id, the "
    "highest first (trec_eval's rule). A grade of 1 or more is relevant; nDCG has linear gain. Intervals: 95 %, "
    "bootstrap over queries, Wilson's for shares of them. p-values: two-sided paired randomisation test over queries; "
    "corrected by Holm over all measures and slices of all comparisons. Calibration figures are "
    "cross-fitted over queries."
)

Values = Mapping[str, Mapping[str, float]]
"""Values by measure by query."""


def evaluate(
    qrels: Qrels, runs: Mapping[str, Run], facts: DatasetFacts = UNKNOWN, measures: Sequence[str] = MEASURES
) -> Evaluation:
    """Measures the runs, given by name, all over the same queries: those of the qrels; the first run is the one that
    the others are compared with.

    Raises UsageError where the qrels hold no query or a measure's name is none.
    """
    if not qrels:
        raise UsageError("the qrels hold no query: there is nothing to measure")
    if not measures:
        raise UsageError("no measure is asked for")
    values = {name: per_query(qrels, run, measures) for name, run in runs.items()}
    relevant = {query: sum(grade > 0 for grade in grades.values()) for query, grades in qrels.items()}
    first = next(iter(runs))
    known = leaked(qrels, facts)
    rows = tuple(
        QueryRow(
            query_id=query,
            text=facts.queries[query].text if query in facts.queries else None,
            reference=facts.queries[query].reference if query in facts.queries else None,
            relevant=relevant[query],
            values={name: values[name][measures[0]][query] for name in runs},
        )
        for query in sorted(qrels)
    )
    return Evaluation(
        rules=RULES,
        measures=tuple(measures),
        queries=len(qrels),
        without_relevant=sum(not count for count in relevant.values()),
        leaked=known,
        runs=tuple(_result(name, qrels, run, values[name], facts, known) for name, run in runs.items()),
        comparisons=_corrected([_compare(name, first, values, facts) for name in runs if name != first]),
        per_query=rows,
    )


def _result(name: str, qrels: Qrels, run: Run, values: Values, facts: DatasetFacts, known: Sequence[str]) -> RunResult:
    primary = next(iter(values.values()))
    calibration, note = _calibrated(name, qrels, run, facts)
    return RunResult(
        name=name,
        measures={measure: measured(list(of.values())) for measure, of in values.items()},
        slices=_slices(primary, facts),
        lacking=tuple(sorted(query for query in qrels if not run.get(query))),
        unjudged=sum(query not in qrels for query in run),
        apart=_apart(qrels, run),
        ties=ties(qrels, run, list(values)),
        calibration=calibration,
        calibration_note=note,
        unleaked=measured([value for query, value in primary.items() if query not in known]) if known else None,
        prior=prior(qrels, run, facts),
        diagnostic=diagnostic(run, facts, evaluated_splits(qrels, facts)),
    )


def _apart(qrels: Qrels, run: Run) -> tuple[str, str] | None:
    """A video of each, where no video of the run is judged for any query: one of them names videos in another way."""
    judged = {video for grades in qrels.values() for video in grades}
    ranked = {video for scores in run.values() for video in scores}
    return (min(ranked), min(judged)) if judged and ranked and judged.isdisjoint(ranked) else None


def _slices(values: Mapping[str, float], facts: DatasetFacts) -> dict[str, dict[str, Mean]]:
    parts = _parted(values, facts)
    return {facet: {part: measured(of) for part, of in by_part.items()} for facet, by_part in parts.items()}


def _parted(values: Mapping[str, float], facts: DatasetFacts) -> dict[str, dict[str, list[float]]]:
    """By facet and value; queries that the dataset does not know are a value of their own."""
    if not any(query in facts.queries for query in values):
        return {}
    parted: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = list(dict.fromkeys(name for query in facts.queries.values() for name in query.facets))
    for query, value in values.items():
        known = facts.queries[query].facets if query in facts.queries else {}
        for name in names:
            parted[name][known.get(name, "not in the dataset")].append(value)
    return {name: {part: parted[name][part] for part in sorted(parted[name])} for name in names}


def _compare(name: str, against: str, values: Mapping[str, Values], facts: DatasetFacts) -> Comparison:
    ours, theirs = values[name], values[against]
    deltas = {measure: {query: of[query] - theirs[measure][query] for query in of} for measure, of in ours.items()}
    primary = next(iter(ours))
    before, after = (sum(of[primary].values()) for of in (theirs, ours))
    return Comparison(
        run=name,
        against=against,
        relative=after / before - 1 if before else None,
        measures=tuple(_difference(measure, list(of.values())) for measure, of in deltas.items()),
        slices={
            facet: {part: _difference(primary, of) for part, of in parts.items()}
            for facet, parts in _parted(deltas[primary], facts).items()
        },
    )


def _difference(measure: str, deltas: Sequence[float]) -> MeasureDifference:
    p_value = randomisation_test(deltas)
    return MeasureDifference(
        measure=measure,
        difference=mean(deltas),
        p_value=p_value,
        p_holm=p_value,
        won=sum(delta > 0 for delta in deltas),
        lost=sum(delta < 0 for delta in deltas),
        equal=sum(delta == 0 for delta in deltas),
    )


def _corrected(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The same with the p-values of all measures and slices corrected together. A facet of one value tests the whole
    once more and is no test of its own."""
    tests: dict[tuple[object, ...], MeasureDifference] = {}
    for number, each in enumerate(comparisons):
        tests |= {(number, of.measure): of for of in each.measures}
        for facet, parts in each.slices.items():
            if len(parts) > 1:
                tests |= {(number, facet, part): of for part, of in parts.items()}
    corrected = dict(zip(tests, holm([of.p_value for of in tests.values()]), strict=True))

    def renewed(key: tuple[object, ...], of: MeasureDifference) -> MeasureDifference:
        return of.model_copy(update={"p_holm": corrected.get(key, corrected[key[0], of.measure])})

    return tuple(
        each.model_copy(
            update={
                "measures": tuple(renewed((number, of.measure), of) for of in each.measures),
                "slices": {
                    facet: {part: renewed((number, facet, part), of) for part, of in parts.items()}
                    for facet, parts in each.slices.items()
                },
            }
        )
        for number, each in enumerate(comparisons)
    )


def _calibrated(name: str, qrels: Qrels, run: Run, facts: DatasetFacts) -> tuple[Calibration | None, str]:
    """How far the scores are probabilities, raw (their sigmoid) and fitted, over the judged pairs that have one."""
    pairs = [
        JudgedPair(query, facts.queries[query].facets["kind"] if query in facts.queries else "all", score, grade > 0)
        for query, grades in qrels.items()
        for video, grade in grades.items()
        if (score := run.get(query, {}).get(video)) is not None
    ]
    left_out = sum(len(grades) for grades in qrels.values()) - len(pairs)
    if len({pair.relevant for pair in pairs}) < 2:
        return None, "could not look: it takes scores of judged pairs of both kinds, relevant and not"
    return calibrate(name, pairs, left_out), ""


def runs_by_name(runs: Iterable[tuple[str, Run]]) -> dict[str, Run]:
    """Runs by name; where two go by one name, they are counted."""
    found: dict[str, Run] = {}
    for name, run in runs:
        unused = (f"{name} ({number})" for number in range(2, len(found) + 3))
        found[name if name not in found else next(each for each in unused if each not in found)] = run
    return found
