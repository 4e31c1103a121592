"""Runs against qrels: measures with intervals, slices, comparisons, calibration, audits. Pure; reads no file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from hardcut.report.statistics.agreement import share_interval
from hardcut.report.statistics.calibration import Calibration, JudgedPair, calibrate
from hardcut.report.statistics.shortcuts import FOLDS, is_sampled, r2_from, r2_tells, video_word
from hardcut.report.statistics.sides import Sides, audit
from hardcut.report.statistics.significance import Mean, mean, randomisation_test
from hardcut.reranker.facts import UNKNOWN, DatasetFacts, NuanceBlock
from hardcut.reranker.measures import MEASURES, per_query
from hardcut.reranker.results import (
    BlockPasses,
    Comparison,
    Diagnostic,
    Evaluation,
    MeasureDifference,
    PriorResult,
    QueryRow,
    RunResult,
)
from hardcut.reranker.ties import ties
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import Qrels, Run

RULES = (
    "Every query of the qrels counts; one that a run lacks scores 0. Ties in a run are broken by document id, the "
    "highest first (trec_eval's rule). A grade of 1 or more is relevant; nDCG has linear gain. Intervals: 95 %, "
    "bootstrap over queries. p-values: two-sided paired randomisation test over queries. Calibration figures are "
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
    rows = tuple(
        QueryRow(
            query_id=query,
            text=facts.queries[query].text if query in facts.queries else None,
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
        runs=tuple(_result(name, qrels, run, values[name], facts) for name, run in runs.items()),
        comparisons=tuple(_compare(name, first, values) for name in runs if name != first),
        per_query=rows,
    )


def _result(name: str, qrels: Qrels, run: Run, values: Values, facts: DatasetFacts) -> RunResult:
    primary = next(iter(values.values()))
    calibration, note = _calibrated(name, qrels, run, facts)
    return RunResult(
        name=name,
        measures={measure: mean(list(of.values())) for measure, of in values.items()},
        slices=_slices(primary, facts),
        lacking=tuple(sorted(query for query in qrels if not run.get(query))),
        unjudged=sum(query not in qrels for query in run),
        ties=ties(qrels, run, list(values)),
        calibration=calibration,
        calibration_note=note,
        prior=_prior(qrels, run, facts),
        diagnostic=_diagnostic(run, facts),
    )


def _slices(values: Mapping[str, float], facts: DatasetFacts) -> dict[str, dict[str, Mean]]:
    """By facet and value; queries that the dataset does not know are a value of their own."""
    if not any(query in facts.queries for query in values):
        return {}
    parted: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = list(dict.fromkeys(name for query in facts.queries.values() for name in query.facets))
    for query, value in values.items():
        known = facts.queries[query].facets if query in facts.queries else {}
        for name in names:
            parted[name][known.get(name, "not in the dataset")].append(value)
    return {name: {part: mean(parted[name][part]) for part in sorted(parted[name])} for name in names}


def _compare(name: str, against: str, values: Mapping[str, Values]) -> Comparison:
    ours, theirs = values[name], values[against]
    found = []
    for measure in ours:
        deltas = [ours[measure][query] - theirs[measure][query] for query in ours[measure]]
        found.append(
            MeasureDifference(
                measure=measure,
                difference=mean(deltas),
                p_value=randomisation_test(deltas),
                won=sum(delta > 0 for delta in deltas),
                lost=sum(delta < 0 for delta in deltas),
                equal=sum(delta == 0 for delta in deltas),
            )
        )
    primary = next(iter(ours))
    before, after = (sum(of[primary].values()) for of in (theirs, ours))
    return Comparison(run=name, against=against, relative=after / before - 1 if before else None, measures=tuple(found))


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


def _prior(qrels: Qrels, run: Run, facts: DatasetFacts) -> PriorResult:
    """How much of the scores a model knows that sees only which video it is, or only the query's words."""
    whole = sum(len(run.get(query, {})) for query in qrels)
    found = [
        (query, video, score)
        for query in sorted(qrels)
        if is_sampled(query, whole)
        for video, score in sorted(run.get(query, {}).items())
    ]
    if not r2_tells(len(found)) or len({score for *_, score in found}) < 2:
        few = f"could not look: {len(found)} scored pairs are too few to tell"
        note = "could not look: all scores are the same" if r2_tells(len(found)) else few
        return PriorResult(pairs=len(found), video_only=None, query_only=None, note=note)
    queries, scores = [query for query, *_ in found], [score for *_, score in found]
    by_video = r2_from([video_word(video) for _, video, _ in found], scores)
    if len(set(queries)) < FOLDS or any(query not in facts.queries for query in queries):
        note = "could not look: the queries' words are not known: name the dataset that has them (--dataset)"
        if len(set(queries)) < FOLDS:
            note = f"could not look: {len(set(queries))} queries are too few to tell by their words, {FOLDS} are needed"
        return PriorResult(pairs=len(found), video_only=by_video, query_only=None, note=note)
    by_query = r2_from([facts.queries[query].text for query in queries], scores, queries)
    return PriorResult(pairs=len(found), video_only=by_video, query_only=by_query)


def _diagnostic(run: Run, facts: DatasetFacts) -> Diagnostic | None:
    """None where the run scores both queries of no block: it was not asked."""
    by_change: defaultdict[str, list[NuanceBlock]] = defaultdict(list)
    for block in facts.blocks:
        by_change[block.change].append(block)
    changes = {change: _passes(run, facts, by_change[change]) for change in sorted(by_change)}
    if len(changes) > 1:
        changes["all"] = _passes(run, facts, facts.blocks)
    return Diagnostic(changes=changes) if any(of.scored for of in changes.values()) else None


def _passes(run: Run, facts: DatasetFacts, blocks: Sequence[NuanceBlock]) -> BlockPasses:
    scored = passed = mirrored = 0
    for block in blocks:
        one, other = (facts.score(run, side, block.video_id) for side in (block.answered, block.unanswered))
        scored += one is not None and other is not None
        right = _above(one, other)
        passed += right
        if right and block.mirror is not None:
            there, back = (facts.score(run, side, block.mirror) for side in (block.answered, block.unanswered))
            mirrored += _above(back, there) and _above(one, there) and _above(back, other)
    texts = [Sides(f"{block.answered} {block.unanswered}", *block.texts, block.video_id) for block in blocks]
    told = audit(texts) if all(all(block.texts) for block in blocks) else None
    return BlockPasses(
        blocks=len(blocks),
        scored=scored,
        passed=passed,
        interval=share_interval(passed, len(blocks)),
        mirrored=sum(block.mirror is not None for block in blocks),
        mirrored_passed=mirrored,
        text_alone=told.worst[1] if told else None,
    )


def _above(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one > other


def runs_by_name(runs: Iterable[tuple[str, Run]]) -> dict[str, Run]:
    """Runs by name; where two go by one name, they are counted."""
    found: dict[str, Run] = {}
    for name, run in runs:
        unused = (f"{name} ({number})" for number in range(2, len(found) + 3))
        found[name if name not in found else next(each for each in unused if each not in found)] = run
    return found
