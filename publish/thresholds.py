"""Where a1 and a2 should lie: thresholds on the teacher's margin out of a run's own margins.

Mined candidates are a mixture of negatives and of positives that nobody has found yet; source pairs are positives. With
F(t) the share of source pairs whose margin is at most t, pi the share of positives among M mined pairs, and K(t) the
mined pairs with a margin of at most t, which are kept as negatives,

    false negatives among the kept = pi M F(t) / K(t).

* pi is bounded from above by the tails: a positive among the mined reaches t as often as a source pair does, so that
  pi <= P(mined >= t) / P(source >= t) for every t; the least of these over the quantiles of the source pairs is taken
  (mixture proportions with one known component: Blanchard, Lee and Scott, "Semi-supervised novelty detection", JMLR
  2010; Scott, AISTATS 2015).
* Every share is bounded by Chernoff's bound for binomial tails, n KL(k/n || p) <= ln(1/delta), which holds for any n
  (Hoeffding 1963, theorem 1; Langford, "Practical prediction theory", JMLR 2005), with delta split over all bounds.

It rests on one assumption: positives among the mined get margins like source pairs do. A source pair that in truth is
none (a bad query) lowers the source margins and so the thresholds: an error to the safe side. Counterfactual pairs are
shown beside and not used: they are negatives of another kind, made to be hard.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hardcut.publish.judgments import upper_margin
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Pair, TeacherLabel

TARGET = 0.01
"""False negatives that may be among the negatives of training, as a share."""
DELTA = 0.05
"""The chance that all bounds together fail."""
TRUSTED = 0.5
"""The part of the target that trusted negatives may have."""
LEAST = 30
"""Source and mined pairs that it takes to say anything."""
_QUANTILES = tuple(step / 10 for step in range(1, 10))


@dataclass(frozen=True, slots=True)
class Margins:
    """Margins of a run by how query and video met, each list sorted."""

    source: list[float] = field(default_factory=list)
    mined: list[float] = field(default_factory=list)
    counterfactual: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Point:
    """What keeping the mined pairs up to a margin costs and saves: how many are kept, and the share of false negatives
    among them, as estimated and as bounded from above."""

    margin: float
    kept: int
    estimate: float
    bound: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The choice. `suspected_above` (a2) is the greatest margin up to which the bound is within the target; None where
    no margin is, for want of source pairs. `trusted_below` (a1) is the greatest with an estimate of half of it, or
    the one with the least where none is so low. `positives` bounds the share of positives among the mined."""

    trusted_below: float | None
    suspected_above: float | None
    positives: float
    target: float
    curve: tuple[Point, ...]


def margins_of(pairs: Iterable[Pair], labels: Mapping[str, Sequence[TeacherLabel]]) -> Margins:
    """The margins that the judgments are made by, of pairs whose labels (by pair) agree and have one."""
    found = Margins()
    for pair in pairs:
        read = [
            label for label in labels.get(pair.pair_id, ()) if label.input == "full" and label.verdict != "unparsed"
        ]
        margin = upper_margin(read)
        if margin is None or len({label.verdict for label in read}) > 1:
            continue
        if "source" in pair.origins:
            found.source.append(margin)
        elif pair.expected == "no" and "counterfactual" in pair.origins:
            found.counterfactual.append(margin)
        elif pair.expected == "no" and "mined" in pair.origins:
            found.mined.append(margin)
    for margins in (found.source, found.mined, found.counterfactual):
        margins.sort()
    return found


def choose(margins: Margins, target: float = TARGET) -> Thresholds:
    """a1 and a2 for a share of false negatives of at most `target`. Raises UsageError with too few pairs to tell."""
    source, mined = margins.source, margins.mined
    if min(len(source), len(mined)) < LEAST:
        raise UsageError(
            f"{len(source)} source and {len(mined)} mined pairs have a margin, {LEAST} of each are needed to choose "
            "thresholds by: judge more, or set judgments.trusted_below and judgments.suspected_above by hand"
        )
    positives = _positives(source, mined)
    curve = [_point(margin, source, mined, positives) for margin in _midpoints(mined)]
    within = [point for point in curve if point.bound <= target]
    if not within:
        return Thresholds(None, None, positives, target, tuple(curve))
    last = within[-1]
    sure = [point for point in curve if point.margin <= last.margin]
    best = [point for point in sure if point.estimate <= TRUSTED * target]
    first = best[-1] if best else min(sure, key=lambda point: (point.estimate, -point.margin))
    return Thresholds(first.margin, last.margin, positives, target, tuple(curve))


def upper(count: int, total: int, delta: float) -> float:
    """The greatest rate that `count` of `total` do not speak against at level `delta`."""
    return _solve(count / total, 1.0, math.log(1 / delta) / total)


def lower(count: int, total: int, delta: float) -> float:
    """The least rate that `count` of `total` do not speak against at level `delta`."""
    return 1 - _solve(1 - count / total, 1.0, math.log(1 / delta) / total)


def _positives(source: Sequence[float], mined: Sequence[float]) -> float:
    """The bound on the share of positives among the mined, with half of delta."""
    delta = DELTA / 2 / (2 * len(_QUANTILES))
    ratios = [1.0]
    for quantile in _QUANTILES:
        margin = source[int(quantile * len(source))]
        above, mined_above = (len(each) - bisect_left(each, margin) for each in (source, mined))
        least = lower(above, len(source), delta)
        if least > 0:
            ratios.append(upper(mined_above, len(mined), delta) / least)
    return min(ratios)


def _point(margin: float, source: Sequence[float], mined: Sequence[float], positives: float) -> Point:
    below, kept = bisect_right(source, margin), bisect_right(mined, margin)
    share = positives * len(mined) / kept
    estimate = share * (below + 1) / (len(source) + 1)
    bound = share * upper(below, len(source), DELTA / 2)
    return Point(margin, kept, round(min(estimate, 1.0), 6), round(min(bound, 1.0), 6))


def _midpoints(mined: Sequence[float]) -> list[float]:
    """Margins between neighbours among the mined, and one above all: at most a thousand, evenly spread."""
    distinct = sorted(set(mined))
    between = [_between(low, high) for low, high in pairwise(distinct)] + [distinct[-1]]
    step = max(1, len(between) // 1000)
    return between[::-1][::step][::-1]


def _between(low: float, high: float) -> float:
    """The middle, with as few digits as lie between."""
    middle = (low + high) / 2
    return next((value for digits in range(1, 9) if low <= (value := round(middle, digits)) < high), low)


def _solve(rate: float, high: float, limit: float) -> float:
    """The greatest p in [rate, high] with KL(rate || p) <= limit, by halving."""
    low = rate
    for _ in range(60):
        middle = (low + high) / 2
        if _divergence(rate, middle) > limit:
            high = middle
        else:
            low = middle
    return low


def _divergence(rate: float, other: float) -> float:
    """Kullback and Leibler's divergence of two coins, in nats."""
    divergence = rate * math.log(rate / other) if rate > 0 else 0.0
    if rate < 1:
        divergence += (1 - rate) * math.log((1 - rate) / (1 - other)) if other < 1 else math.inf
    return divergence
