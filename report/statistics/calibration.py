"""From raw margins to probabilities that hold: temperature and isotonic calibration on judged pairs. Pure functions.

Raw margins stay as they are; what is fitted here is kept beside them and can be fitted again. The figures "after" are
cross-fitted: every pair's probability comes from a calibration that has not seen its query, since one that has would
flatter itself.

Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599, section 4.2). Isotonic
regression by pooling adjacent violators: Zadrozny & Elkan 2002. ECE: Naeini et al. 2015, bins of equal width.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hardcut.schemas.base import Frozen
from hardcut.schemas.logistic import sigmoid

Method = Literal["raw", "temperature", "isotonic"]

CALIBRATION_FILE = "calibration.json"
"""Where a run's folder keeps what was fitted."""

SURE = 0.05
"""Share of pairs on the wrong side of a threshold that is fitted."""

_BINS = 10
_FOLDS = 5
_COLDEST, _HOTTEST = 1e-3, 1e3


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair with a teacher's margin and what people said: whether the video answers the query."""

    query_id: str
    kind: str
    margin: float
    relevant: bool


class Bin(Frozen):
    """One bar of a reliability diagram: of `count` pairs the mean probability and the share that is relevant."""

    count: int
    probability: float
    relevant: float


class Figures(Frozen):
    """How good probabilities are. ECE and Brier score: 0 is best. `auc` is null where all pairs are of one class."""

    pairs: int
    relevant: int
    ece: float
    brier: float
    auc: float | None
    bins: tuple[Bin, ...]


class Isotonic(Frozen):
    """A step-free map from margin to probability: straight lines between these points, flat beyond them."""

    margins: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __call__(self, margin: float) -> float:
        """The probability at a margin."""
        xs, ys = self.margins, self.probabilities
        if margin <= xs[0]:
            return ys[0]
        for left, right, low, high in zip(xs, xs[1:], ys, ys[1:], strict=False):
            if margin <= right:
                return low + (high - low) * (margin - left) / (right - left)
        return ys[-1]


class Calibration(Frozen):
    """What was fitted for one teacher, and what it brings: figures by method over all pairs and by query kind."""

    teacher: str
    temperature: float
    isotonic: Isotonic
    overall: dict[Method, Figures]
    by_kind: dict[str, dict[Method, Figures]]
    left_out: int

    @property
    def trusted_below(self) -> float | None:
        """a1 as the judgments have it: the highest judged margin up to which at most `SURE` of the pairs answer their
        query; None where even the lowest margins do."""
        below = [m for m, p in zip(self.isotonic.margins, self.isotonic.probabilities, strict=True) if p <= SURE]
        return max(below, default=None)

    @property
    def suspected_above(self) -> float | None:
        """a2 likewise: the lowest judged margin from which on all but `SURE` do."""
        above = [m for m, p in zip(self.isotonic.margins, self.isotonic.probabilities, strict=True) if p >= 1 - SURE]
        return min(above, default=None)

    def probability(self, margin: float, method: Method = "isotonic") -> float:
        """The calibrated probability of a raw margin."""
        if method == "raw":
            return sigmoid(margin)
        return sigmoid(margin / self.temperature) if method == "temperature" else self.isotonic(margin)


def calibrate(teacher: str, pairs: Sequence[JudgedPair], left_out: int = 0) -> Calibration:
    """Fits both methods on `pairs`. `left_out` counts judged pairs whose margin is not exact.

    Raises ValueError where all pairs are of one class: there is nothing to fit then.
    """
    if len({pair.relevant for pair in pairs}) < 2:
        raise ValueError("calibration needs judged pairs of both kinds: some that answer their query, some that do not")
    probabilities = _cross_fitted(pairs)
    kinds = sorted({pair.kind for pair in pairs})
    where = {kind: [at for at, pair in enumerate(pairs) if pair.kind == kind] for kind in kinds}
    relevant = [pair.relevant for pair in pairs]

    def of(positions: Sequence[int]) -> dict[Method, Figures]:
        return {
            method: figures([values[at] for at in positions], [relevant[at] for at in positions])
            for method, values in probabilities.items()
        }

    return Calibration(
        teacher=teacher,
        temperature=fit_temperature([pair.margin for pair in pairs], relevant),
        isotonic=fit_isotonic([pair.margin for pair in pairs], relevant),
        overall=of(range(len(pairs))),
        by_kind={kind: of(positions) for kind, positions in where.items()},
        left_out=left_out,
    )


def fit_temperature(margins: Sequence[float], relevant: Sequence[bool]) -> float:
    """The T > 0 for which sigmoid(margin / T) makes the judgments likeliest (maximum likelihood).

    The loss is convex in 1/T, so its slope is searched for zero by halving. Judgments that the margins separate
    without fault would have T = 0; it stops at 0.001, and at 1000 where margins say nothing.
    """

    def slope(scale: float) -> float:
        return sum(margin * (sigmoid(scale * margin) - is_so) for margin, is_so in zip(margins, relevant, strict=True))

    low, high = 1 / _HOTTEST, 1 / _COLDEST
    if slope(low) >= 0:
        return _HOTTEST
    if slope(high) <= 0:
        return _COLDEST
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / math.sqrt(low * high)


def fit_isotonic(margins: Sequence[float], relevant: Sequence[bool]) -> Isotonic:
    """The rising map with the least squared error, by pooling adjacent violators (the same as scikit-learn's)."""
    by_margin: dict[float, list[float]] = {}
    for margin, is_so in sorted(zip(margins, relevant, strict=True)):
        by_margin.setdefault(margin, []).append(float(is_so))
    blocks: list[tuple[float, float, float, float]] = []  # sum, weight, first margin, last margin
    for margin, values in by_margin.items():
        block = (sum(values), float(len(values)), margin, margin)
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            total, weight, first, _ = blocks.pop()
            block = (total + block[0], weight + block[1], first, block[3])
        blocks.append(block)
    points = [(at, total / weight) for total, weight, first, last in blocks for at in dict.fromkeys((first, last))]
    return Isotonic(margins=tuple(at for at, _ in points), probabilities=tuple(value for _, value in points))


def figures(probabilities: Sequence[float], relevant: Sequence[bool]) -> Figures:
    """ECE over 10 bins of equal width, Brier score, AUC, and the bins."""
    filled: dict[int, list[int]] = {}
    for at, probability in enumerate(probabilities):
        filled.setdefault(min(int(probability * _BINS), _BINS - 1), []).append(at)
    bins = tuple(
        Bin(
            count=len(members),
            probability=sum(probabilities[at] for at in members) / len(members),
            relevant=sum(relevant[at] for at in members) / len(members),
        )
        for _, members in sorted(filled.items())
    )
    total = len(probabilities)
    return Figures(
        pairs=total,
        relevant=sum(relevant),
        ece=sum(each.count * abs(each.probability - each.relevant) for each in bins) / total,
        brier=sum((p - is_so) ** 2 for p, is_so in zip(probabilities, relevant, strict=True)) / total,
        auc=auc(probabilities, relevant),
        bins=bins,
    )


def auc(scores: Sequence[float], relevant: Sequence[bool]) -> float | None:
    """The chance that a relevant pair scores above one that is not, ties counted half (Mann-Whitney)."""
    positive = sum(relevant)
    negative = len(relevant) - positive
    if not positive or not negative:
        return None
    order = sorted(range(len(scores)), key=lambda at: scores[at])
    ranks, start = 0.0, 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        ranks += (start + 1 + end) / 2 * sum(relevant[at] for at in order[start:end])
        start = end
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


def _cross_fitted(pairs: Sequence[JudgedPair]) -> Mapping[Method, list[float]]:
    """Each pair's probability by each method, fitted on the folds that do not hold its query."""
    folds = [zlib.crc32(pair.query_id.encode("utf-8", "surrogatepass")) % _FOLDS for pair in pairs]
    found: dict[Method, list[float]] = {
        method: [sigmoid(pair.margin) for pair in pairs] for method in ("raw", "temperature", "isotonic")
    }
    for fold in sorted(set(folds)):
        rest = [pair for pair, at in zip(pairs, folds, strict=True) if at != fold]
        if len({pair.relevant for pair in rest}) < 2:
            continue  # nothing to fit on: these pairs keep their raw probability
        margins, relevant = [pair.margin for pair in rest], [pair.relevant for pair in rest]
        temperature, isotonic = fit_temperature(margins, relevant), fit_isotonic(margins, relevant)
        for at, pair in enumerate(pairs):
            if folds[at] == fold:
                found["temperature"][at] = sigmoid(pair.margin / temperature)
                found["isotonic"][at] = isotonic(pair.margin)
    return found
