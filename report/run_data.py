"""What goes into a report: counts over everything, and a few examples that do not depend on order or on chance.

Every file of the run is read as a stream; ids are all that is kept of what is not shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, get_args

from hardcut.engine.run_files import RunFiles
from hardcut.report.coverage import Coverage
from hardcut.schemas.base import Record
from hardcut.schemas.ids import digest
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import (
    COUNTERFACTUAL,
    Caption,
    Dropped,
    Evidence,
    Pair,
    Query,
    QueryKind,
    TeacherLabel,
    Video,
)

R = TypeVar("R", bound=Record)
Relation = Literal["source", "mined", "counterfactual", "user"]
RELATIONS: tuple[Relation, ...] = ("source", "mined", "counterfactual", "user")
KINDS: tuple[QueryKind, ...] = get_args(QueryKind)

PER_KIND = 5
PAIRS_PER_EXAMPLE = 8
EVIDENCE_PER_EXAMPLE = 12
LISTED = 50
"""At most so many failed items, duplicates and damaged videos are listed; the rest is counted."""
MARGIN_STEP = 0.25
MARGIN_LIMIT = 40.0
"""Margins are counted in steps of `MARGIN_STEP`; those beyond the limit are counted at it."""


@dataclass(slots=True)
class MarginCounts:
    """How often each margin occurs: `counts[relation, verdict][step]`, where a step starts at `step * MARGIN_STEP`."""

    counts: defaultdict[tuple[Relation, str], Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    unparsed: int = 0
    without: int = 0
    bounds: int = 0
    labels: int = 0

    def add(self, label: TeacherLabel, relation: Relation) -> None:
        """Counts a label."""
        self.labels += 1
        if label.verdict == "unparsed":
            self.unparsed += 1
        elif label.logit_margin is None:
            self.without += 1
        else:
            self.bounds += not label.exact
            margin = min(max(label.logit_margin, -MARGIN_LIMIT), MARGIN_LIMIT)
            self.counts[relation, label.verdict][int(margin // MARGIN_STEP)] += 1


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A pair of an example with what was said about it."""

    pair: Pair
    label: TeacherLabel | None
    text_only: TeacherLabel | None
    """The label by metadata alone."""
    judgment: Judgment | None
    left_out: str | None


@dataclass(frozen=True, slots=True)
class CounterfactualView:
    """A counterfactual of an example's query, with the pair that it makes with the same video."""

    query: Query
    candidate: CandidateView | None


@dataclass(frozen=True, slots=True)
class Example:
    """A query with the video it was written from, what is known of that, the video that a composed query starts from,
    its candidates and its counterfactuals."""

    query: Query
    video: Video | None
    reference: Video | None
    caption: Caption | None
    evidence: tuple[Evidence, ...]
    evidence_total: int
    candidates: tuple[CandidateView, ...]
    counterfactuals: tuple[CounterfactualView, ...] = ()


@dataclass(slots=True)
class ReportData:
    """All that a report shows of a run's files."""

    records: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    coverage: Coverage = field(default_factory=Coverage)
    evidence: Counter[str] = field(default_factory=Counter)
    grades: Counter[tuple[str, int]] = field(default_factory=Counter)
    dropped: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    margins: MarginCounts = field(default_factory=MarginCounts)
    damaged: list[Video] = field(default_factory=list)
    damaged_total: int = 0
    duplicates: list[tuple[str, ...]] = field(default_factory=list)
    duplicates_total: int = 0
    examples: list[Example] = field(default_factory=list)


def read_report_data(run: Path) -> ReportData:
    """Reads a run's folder, at whatever point it was stopped: a file that is not there holds nothing."""
    found = ReportData()
    _videos(run, found)
    source_of = _queries(run, found)
    shown = _shown(run)
    said = _said(run, found, shown, source_of)
    about = _about(run, found, shown)
    variants = _variants(shown, said)
    found.examples += [_example(query, said, about, variants[query.query_id]) for query in shown.chosen.values()]
    return found


@dataclass(frozen=True, slots=True)
class _Shown:
    """The queries of the examples by id, their counterfactuals, and the ids of all pairs that those make."""

    chosen: Mapping[str, Query]
    counterfactuals: Sequence[Query]
    counterfactual_pairs: Container[str]


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said of the pairs of the queries that are shown; pairs by query, everything else by pair."""

    pairs: Mapping[str, Sequence[Pair]]
    labels: Mapping[str, Sequence[TeacherLabel]]
    text_only: Mapping[str, TeacherLabel]
    judgments: Mapping[str, Judgment]
    left_out: Mapping[str, str]

    def view(self, pair: Pair) -> CandidateView:
        """A pair with what was said of it."""
        at = pair.pair_id
        label = _loudest(self.labels.get(at, ()))
        return CandidateView(pair, label, self.text_only.get(at), self.judgments.get(at), self.left_out.get(at))


@dataclass(frozen=True, slots=True)
class _About:
    """What is known of the videos of the examples, by video."""

    videos: Mapping[str, Video]
    captions: Mapping[str, Caption]
    evidence: Mapping[str, Sequence[Evidence]]


def _shown(run: Path) -> _Shown:
    paired: set[str] = set()
    counterfactual_pairs: set[str] = set()
    for pair in RunFiles(run).read(Pair):
        paired.add(pair.query_id)
        if pair.origins == ("counterfactual",) and pair.expected == "no":
            counterfactual_pairs.add(pair.pair_id)
    chosen = {query.query_id: query for query in choose_examples(RunFiles(run).read(Query), paired)}
    counterfactuals = [
        query
        for query in RunFiles(run).read(Query)
        if query.parent_query_id in chosen and query.variant in COUNTERFACTUAL and query.query_id in paired
    ]
    return _Shown(chosen, counterfactuals, counterfactual_pairs)


def _said(run: Path, found: ReportData, shown: _Shown, source_of: Mapping[str, str | None]) -> _Said:
    queries = {*shown.chosen, *(query.query_id for query in shown.counterfactuals)}
    labels: defaultdict[str, list[TeacherLabel]] = defaultdict(list)
    text_only: dict[str, TeacherLabel] = {}
    for label in _counted(run, TeacherLabel, found):
        source = source_of.get(label.query_id)
        relation: Relation = "user" if source is None else "source" if source == label.video_id else "mined"
        if label.input == "full":
            is_counterfactual = label.pair_id in shown.counterfactual_pairs
            found.margins.add(label, "counterfactual" if is_counterfactual else relation)
            if label.query_id in queries:
                labels[label.pair_id].append(label)
        elif label.query_id in shown.chosen:
            text_only[label.pair_id] = label
    pairs: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in _counted(run, Pair, found):
        if pair.query_id in queries:
            pairs[pair.query_id].append(pair)
    judgments: dict[str, Judgment] = {}
    for judgment in _counted(run, Judgment, found):
        found.grades[judgment.source, judgment.grade] += 1
        if judgment.query_id in queries:
            judgments[judgment.pair_id] = judgment
    shown_pairs = {pair.pair_id for group in pairs.values() for pair in group}
    left_out: dict[str, str] = {}
    for record in _counted(run, Dropped, found):
        found.dropped[record.stage][record.reason] += 1
        if record.item in shown_pairs:
            left_out[record.item] = record.reason
    return _Said(pairs, labels, text_only, judgments, left_out)


def _about(run: Path, found: ReportData, shown: _Shown) -> _About:
    sources = {query.source_video_id for query in shown.chosen.values()}
    evidence: defaultdict[str, list[Evidence]] = defaultdict(list)
    for line in _counted(run, Evidence, found):
        found.evidence[line.kind] += 1
        if line.video_id in sources:
            evidence[line.video_id].append(line)
    captions: dict[str, Caption] = {}
    for caption in _counted(run, Caption, found):
        if caption.video_id in sources:
            captions.setdefault(caption.video_id, caption)
    wanted = sources.union(query.reference_video_id for query in shown.chosen.values())
    videos = {video.video_id: video for video in RunFiles(run).read(Video) if video.video_id in wanted}
    return _About(videos, captions, evidence)


def _variants(shown: _Shown, said: _Said) -> defaultdict[str, list[CounterfactualView]]:
    """The counterfactuals by the query that they were made from, each with its pair on that query's video."""
    variants: defaultdict[str, list[CounterfactualView]] = defaultdict(list)
    for query in shown.counterfactuals:
        of_source = (p for p in said.pairs.get(query.query_id, ()) if p.video_id == query.source_video_id)
        pair = next(of_source, None)
        variants[query.parent_query_id or ""].append(CounterfactualView(query, said.view(pair) if pair else None))
    return variants


def _example(query: Query, said: _Said, about: _About, variants: Sequence[CounterfactualView]) -> Example:
    source = query.source_video_id or ""
    evidence = about.evidence.get(source, ())
    return Example(
        query=query,
        video=about.videos.get(source),
        reference=about.videos.get(query.reference_video_id or ""),
        caption=about.captions.get(source),
        evidence=_spread(sorted(evidence, key=_time), EVIDENCE_PER_EXAMPLE),
        evidence_total=len(evidence),
        candidates=tuple(sorted(map(said.view, said.pairs.get(query.query_id, ())), key=_candidate_order)),
        counterfactuals=tuple(sorted(variants, key=lambda each: each.query.query_id)),
    )


def choose_examples(
    queries: Iterable[Query], paired: Container[str] | None = None, number: int = PER_KIND
) -> list[Query]:
    """So many queries of every kind, of its views in turn: those that made pairs before others (`paired`, all where
    None), of several videos, by a hash of their ids, so that their order does not matter. Counterfactuals are shown
    beside what they were made from and not chosen."""
    best: defaultdict[tuple[QueryKind, str], list[tuple[bool, str, Query]]] = defaultdict(list)
    for query in queries:
        if query.variant in COUNTERFACTUAL:
            continue
        group = best[query.kind, query.view]
        group.append((paired is not None and query.query_id not in paired, digest(query.query_id), query))
        if len(group) >= 8 * number:
            group[:] = _first(group, 4 * number)
    chosen: list[Query] = []
    for kind in KINDS:
        groups = [_first(group, 4 * number) for (of, _), group in sorted(best.items()) if of == kind]
        rounds = [entry for place in range(4 * number) for group in groups for entry in group[place : place + 1]]
        seen: dict[str, int] = {}
        turns = []  # how many of its video came before it
        for entry in rounds:
            source = entry[2].source_video_id or entry[1]
            turns.append(seen.get(source, 0))
            seen[source] = turns[-1] + 1
        order = sorted(range(len(rounds)), key=lambda at: (rounds[at][0], turns[at], at))
        chosen += [rounds[at][2] for at in order[:number]]
    return sorted(chosen, key=lambda query: (KINDS.index(query.kind), query.view, query.query_id))


def _first(group: list[tuple[bool, str, Query]], number: int) -> list[tuple[bool, str, Query]]:
    return sorted(group, key=lambda entry: entry[:2])[:number]


def _videos(run: Path, found: ReportData) -> None:
    of_content: dict[str, str] = {}
    twins: defaultdict[str, list[str]] = defaultdict(list)
    for video in _counted(run, Video, found):
        found.seconds += video.duration_s
        found.coverage.add(video)
        first = of_content.setdefault(video.sha256, video.video_id)
        if first != video.video_id:
            twins[first].append(video.video_id)
        if not video.complete:
            found.damaged_total += 1
            if len(found.damaged) < LISTED:
                found.damaged.append(video)
    found.duplicates_total = len(twins)
    found.duplicates = [(first, *others) for first, others in sorted(twins.items())[:LISTED]]


def _queries(run: Path, found: ReportData) -> Mapping[str, str | None]:
    return {query.query_id: query.source_video_id for query in _counted(run, Query, found)}


def _counted(run: Path, kind: type[R], found: ReportData) -> Iterator[R]:
    count = 0
    for record in RunFiles(run).read(kind):
        count += 1
        yield record
    found.records[kind.FILE.removesuffix(".jsonl")] = count


def _loudest(labels: Iterable[TeacherLabel]) -> TeacherLabel | None:
    """Of several labels the one to show: readable before unparsed, then the highest margin."""
    return max(
        sorted(labels, key=lambda label: label.label_id),
        key=lambda label: (label.verdict != "unparsed", label.logit_margin is not None, label.logit_margin or 0.0),
        default=None,
    )


def _candidate_order(candidate: CandidateView) -> tuple[bool, float, str]:
    margin = candidate.label.logit_margin if candidate.label else None
    return ("source" not in candidate.pair.origins, -(margin if margin is not None else -1e9), candidate.pair.pair_id)


def _time(line: Evidence) -> tuple[bool, float, str]:
    return (line.span is None, line.span.start if line.span else 0.0, line.evidence_id)


def _spread(lines: list[Evidence], number: int) -> tuple[Evidence, ...]:
    """At most `number` of them, evenly spread, the order kept."""
    if len(lines) <= number:
        return tuple(lines)
    return tuple(lines[(2 * place + 1) * len(lines) // (2 * number)] for place in range(number))
