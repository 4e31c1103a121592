"""What people are asked, within a budget of answers: where a person is worth most, and a part that is left to chance.

Pure functions. The random part (the audit) is what makes figures about the teacher honest: pairs that were chosen
because something is odd about them say nothing of the rest. Counterfactuals are not in it: each meets only the video
that its query was changed from, so that a reviewer who knows one by its words knows the answer that is expected.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hardcut.annotate.draws import Drawn, Framed, draw
from hardcut.schemas.ids import digest
from hardcut.schemas.judgments import Review, Stratum
from hardcut.schemas.records import COUNTERFACTUAL, Pair, Query, TeacherLabel
from hardcut.schemas.reviews import consensus, reviews_in_force
from hardcut.schemas.settings import ReviewSettings

SetName = Literal["blind", "assisted", "adjudication", "pairwise"]
SETS: tuple[SetName, ...] = ("blind", "assisted", "adjudication", "pairwise")
UNAIDED: frozenset[SetName] = frozenset({"blind", "adjudication", "pairwise"})
"""The sets whose pages show the query and the whole video, and nothing that was written or found about them."""

REASONS: Mapping[str, Stratum] = {
    "contradicts_people": "compared",
    "teachers_disagree": "disagreement",
    "suspected_positive": "suspected",
    "uncertain_positive": "suspected",
    "misjudged_source": "suspected",
    "uncertain": "margin",
    "weak_positive": "margin",
}
"""Why the judgments left a pair out for a person, and the stratum that it is asked in."""
BLIND: frozenset[Stratum] = frozenset({"gold", "audit"})
ASSISTED: tuple[Stratum, ...] = ("compared", "disagreement", "suspected", "margin", "counterfactual")
_FIRST: tuple[Stratum, ...] = ("compared", "disagreement", "suspected", "margin")
"""Where most pairs have no label without a person: these come before all others."""


@dataclass(frozen=True, slots=True)
class ReviewCandidate:
    """A pair with all that decides whether a person is asked about it. `reason` is why the judgments left it out,
    `known` whether the user's own judgments have it, `answered_in` the stratum of an earlier answer, `drawn` an earlier
    draw of the audit that it was in."""

    pair: Pair
    query: Query
    labels: tuple[TeacherLabel, ...]
    reason: str | None = None
    known: bool = False
    answered_in: Stratum | None = None
    drawn: Drawn | None = None

    @property
    def margin(self) -> float | None:
        """The teachers' mean margin."""
        margins = [label.logit_margin for label in self.labels if label.logit_margin is not None]
        return sum(margins) / len(margins) if margins else None

    @property
    def expected_change(self) -> float:
        """How much an answer changes the dataset: 1 where the pair has no label without a person, else the chance that
        a person says the opposite, which a calibrated margin tells."""
        if self.reason in REASONS:
            return 1.0
        return 1 / (1 + math.exp(min(abs(self.margin), 500.0))) if self.margin is not None else 0.5

    @property
    def is_own(self) -> bool:
        """Whether the query was written from this video."""
        return self.query.source_video_id == self.pair.video_id

    @property
    def verdict(self) -> Literal["yes", "no"] | None:
        """What the teachers say: a yes where at least half do; `None` where none could be read."""
        yes = sum(label.verdict == "yes" for label in self.labels)
        return None if not self.labels else "yes" if 2 * yes >= len(self.labels) else "no"


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A pair that people are asked about, and why."""

    pair_id: str
    stratum: Stratum

    @property
    def set(self) -> SetName:
        """The set that it is shown in."""
        if self.stratum == "conflict":
            return "adjudication"
        return "blind" if self.stratum in BLIND else "assisted"


@dataclass(frozen=True, slots=True)
class StratumShare:
    """What of a stratum the budget buys."""

    stratum: Stratum
    available: int
    records: int
    answers: int


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """All items, sorted by set, what each stratum takes, and the pairs of the audit with their probabilities."""

    items: tuple[ReviewItem, ...]
    shares: tuple[StratumShare, ...]
    drawn: Mapping[str, Drawn] = field(default_factory=dict)


def readable_labels(labels: Iterable[TeacherLabel]) -> tuple[TeacherLabel, ...]:
    """The labels that saw the video and could be read, sorted by id."""
    found = (label for label in labels if label.input == "full" and label.verdict != "unparsed")
    return tuple(sorted(found, key=lambda label: label.label_id))


def plan_review(
    candidates: Sequence[ReviewCandidate], conflicts: Iterable[str], settings: ReviewSettings
) -> ReviewPlan:
    """Chooses what is asked. The same candidates and settings give the same plan, and answers do not change it: a pair
    that was asked keeps its place, so the budget is of all answers ever and not of the next ones.

    Gold and audit come first, with `overlap` answers a record, blind. The rest goes in turns to the strata of pairs
    that have no label without a person, then to counterfactuals, one answer a record, assisted, until the budget or the
    pairs end. In each stratum every query has its most urgent pair asked before any has its second. Conflicts, which
    nobody can plan, come on top.
    """
    pools = _pools(candidates, settings)
    conflicts = sorted(conflicts)
    records = settings.budget / settings.overlap
    frame = _frame(candidates)
    before = {each.pair.pair_id: each.drawn for each in candidates if each.drawn is not None}
    drawn = draw(frame, max(1, round(records * settings.audit)), settings.seed, before)  # never left out
    pools["audit"] = list(frame)
    taken: set[str] = set(drawn)
    chosen: dict[Stratum, list[str]] = {
        "audit": list(drawn),
        "gold": _first(pools["gold"], round(records * settings.gold), taken),
    }
    left = settings.budget - settings.overlap * sum(map(len, chosen.values()))
    chosen |= _in_turns({stratum: pools[stratum] for stratum in _FIRST}, left, taken)
    left -= sum(len(chosen[stratum]) for stratum in _FIRST)
    chosen |= _in_turns({stratum: pools[stratum] for stratum in ASSISTED if stratum not in _FIRST}, left, taken)
    chosen["conflict"] = conflicts
    pools["conflict"] = conflicts
    items = [ReviewItem(pair_id, stratum) for stratum, ids in chosen.items() for pair_id in ids]
    # Not the digest that the audit is drawn by: who is drawn for being rare would come last.
    items.sort(key=lambda item: (SETS.index(item.set), digest("order", settings.seed, item.pair_id)))
    shares = [
        StratumShare(stratum, len(pools[stratum]), len(ids), len(ids) * (settings.overlap if stratum in BLIND else 1))
        for stratum, ids in chosen.items()
    ]
    return ReviewPlan(tuple(items), tuple(shares), drawn)


def further_change(
    candidates: Sequence[ReviewCandidate], settings: ReviewSettings, answers: int = 100
) -> tuple[int, float]:
    """What so many answers more would bring: pairs that get a label and have none now, and the expected number of
    labels that change."""
    raised = settings.model_copy(update={"budget": settings.budget + answers})
    now = {item.pair_id for item in plan_review(candidates, (), settings).items}
    more = {item.pair_id for item in plan_review(candidates, (), raised).items} - now
    found = [candidate for candidate in candidates if candidate.pair.pair_id in more]
    missing = sum(candidate.reason in REASONS for candidate in found)
    return missing, sum(candidate.expected_change for candidate in found) - missing


def pairs_in_conflict(pairs: Iterable[tuple[Pair, Query]], reviews: Mapping[str, Sequence[Review]]) -> list[str]:
    """The pairs whose reviewers come to no answer, sorted."""
    return sorted(
        pair.pair_id
        for pair, query in pairs
        if (people := reviews_in_force(query, reviews.get(pair.pair_id, ()))) and consensus(people) is None
    )


def _frame(candidates: Iterable[ReviewCandidate]) -> dict[str, Framed]:
    """What the audit is drawn from: all pairs of which teachers say anything and people have not said it, but for
    counterfactuals."""
    return {
        each.pair.pair_id: Framed(each.query.query_id, each.pair.video_id, each.is_own, each.verdict)
        for each in candidates
        if each.verdict is not None and not each.known and each.query.variant not in COUNTERFACTUAL
    }


def _pools(candidates: Sequence[ReviewCandidate], settings: ReviewSettings) -> dict[Stratum, list[str]]:
    """The pairs of each stratum but the audit, the most urgent first; one that was asked already comes before all
    others."""
    ranked: defaultdict[Stratum, list[tuple[float, str, str, str, bool]]] = defaultdict(list)
    for candidate in candidates:
        pair_id, new = candidate.pair.pair_id, candidate.answered_in is None
        chance = digest(settings.seed, pair_id)
        for stratum, urgency in _called_for(candidate, settings).items():
            if new or candidate.answered_in == stratum:
                ranked[stratum].append((urgency, chance, pair_id, candidate.query.query_id, new))
    others: tuple[Stratum, ...] = ("gold", *ASSISTED)
    return {stratum: _spread(ranked[stratum]) for stratum in others}


def _spread(ranked: Iterable[tuple[float, str, str, str, bool]]) -> list[str]:
    """The pairs of (urgency, chance, pair, query, new) in the order in which they are asked."""
    places: Counter[str] = Counter()
    found: list[tuple[bool, int, float, str, str]] = []
    for urgency, chance, pair_id, query_id, new in sorted(ranked):
        found.append((new, places[query_id], urgency, chance, pair_id))
        places[query_id] += 1
    return [pair_id for *_, pair_id in sorted(found)]


def _called_for(candidate: ReviewCandidate, settings: ReviewSettings) -> dict[Stratum, float]:
    """The strata that a pair belongs into, chance apart, and its place in each: the lowest number is asked first. A
    counterfactual that the teacher is sure of is in none."""
    if candidate.known:
        return {"gold": 0.0}
    size = abs(candidate.margin) if candidate.margin is not None else None
    found: dict[Stratum, float] = {}
    # a pair that was asked about and settled has no reason any more: its stratum is that of its answer
    reason = REASONS.get(candidate.reason or "", candidate.answered_in)
    if reason in ASSISTED:
        found[reason] = -(size or 0.0)
    if size is not None and size <= settings.near_margin:
        found["margin"] = size
    if candidate.query.variant in COUNTERFACTUAL and (size is None or size < settings.certain_margin):
        found["counterfactual"] = size or 0.0
    return found


def _first(pool: Sequence[str], number: int, taken: set[str]) -> list[str]:
    """The first ones of a pool that no other stratum has; they are taken then."""
    found = [pair_id for pair_id in pool if pair_id not in taken][:number]
    taken.update(found)
    return found


def _in_turns(pools: Mapping[Stratum, Sequence[str]], number: int, taken: set[str]) -> dict[Stratum, list[str]]:
    """One pair of each pool in turn, up to `number` in all."""
    chosen: dict[Stratum, list[str]] = {stratum: [] for stratum in pools}
    waiting = {stratum: iter(pool) for stratum, pool in pools.items()}
    while waiting and number > 0:
        for stratum in list(waiting):
            pair_id = next((id for id in waiting[stratum] if id not in taken), None)
            if pair_id is None:
                del waiting[stratum]
            elif number > 0:
                taken.add(pair_id)
                chosen[stratum].append(pair_id)
                number -= 1
    return chosen
