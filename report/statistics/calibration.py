"""From raw margins to probabilities that hold: temperature and isotonic calibration on judged pairs. Pure functions.

Raw margins stay as they are. What is fitted here is kept beside them and can be fitted again. The figures "after" are
cross-fitted: every pair's probability comes from a calibration that has not seen its query. One that has seen it would
flatter itself. A fit is applied only where enough was judged, and where it beats the raw margins in those figures.

Temperature with an intercept: Platt, "Probabilistic outputs for support vector machines" (1999), with his targets, that
are not quite 0 and 1. Without the intercept it is temperature scaling: Guo et al. (arXiv 1706.04599, section 4.2).
Isotonic regression by pooling adjacent violators: Zadrozny & Elkan 2002. ECE: Naeini et al. 2015, bins of equal width.
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

FEWEST = 30
"""Judged pairs of each class, relevant and not, below which no fit is applied."""

FOR_ISOTONIC = 1000
"""Judged pairs below which an isotonic map overfits (Niculescu-Mizil & Caruana 2005, section 5), and the temperature is
taken."""

_BINS = 10
_FOLDS = 5
_HOTTEST = 1e3
_STEPS = 100


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


class Platt(Frozen):
    """A straight line in log-odds: sigmoid(margin / temperature + intercept)."""

    temperature: float
    intercept: float

    def __call__(self, margin: float) -> float:
        """The probability at a margin."""
        return sigmoid(margin / self.temperature + self.intercept)


class Calibration(Frozen):
    """What was fitted for one teacher, and what it brings: figures by method over all pairs and by query kind."""

    teacher: str
    temperature: float
    intercept: float = 0.0
    isotonic: Isotonic
    overall: dict[Method, Figures]
    by_kind: dict[str, dict[Method, Figures]]
    left_out: int

    @property
    def refusal(self) -> str:
        """Why no fit is applied; empty where one is."""
        raw, best = self.overall["raw"], self.overall[self._best]
        if self._is_scarce:
            return f"of one class only {self._fewest} pairs were judged, and {FEWEST} are needed: review more pairs"
        if best.brier >= raw.brier:
            return f"no fit beats the raw margins in cross-validation (Brier {best.brier:.3f}, raw {raw.brier:.3f})"
        return ""

    @property
    def applied(self) -> Method:
        """The method whose probabilities are used: the better of both fits by Brier score, `raw` where none is."""
        return "raw" if self.refusal else self._best

    @property
    def _fewest(self) -> int:
        raw = self.overall["raw"]
        return min(raw.relevant, raw.pairs - raw.relevant)

    @property
    def _is_scarce(self) -> bool:
        return self._fewest < FEWEST

    @property
    def _best(self) -> Method:
        if self.overall["raw"].pairs < FOR_ISOTONIC:
            return "temperature"
        methods: tuple[Method, ...] = ("temperature", "isotonic")
        return min(methods, key=lambda method: self.overall[method].brier)

    @property
    def trusted_below(self) -> float | None:
        """a1 as the judgments have it: the highest judged margin up to which at most `SURE` of the pairs answer their
        query; None where even the lowest margins do, and where too few were judged of each class."""
        if self._is_scarce:
            return None
        below = [m for m, p in zip(self.isotonic.margins, self.isotonic.probabilities, strict=True) if p <= SURE]
        return max(below, default=None)

    @property
    def suspected_above(self) -> float | None:
        """a2 likewise: the lowest judged margin from which on all but `SURE` do."""
        if self._is_scarce:
            return None
        above = [m for m, p in zip(self.isotonic.margins, self.isotonic.probabilities, strict=True) if p >= 1 - SURE]
        return min(above, default=None)

    def probability(self, margin: float, method: Method | None = None) -> float:
        """The probability of a raw margin, by the method that is applied or by another. A fitted one is never 0 or 1:
        it stays as far from both as so many judgments can tell."""
        method = method or self.applied
        if method == "raw":
            return sigmoid(margin)
        line = Platt(temperature=self.temperature, intercept=self.intercept)
        fitted = line(margin) if method == "temperature" else self.isotonic(margin)
        return _short_of_certain(fitted, self.overall["raw"].pairs)


def calibrate(teacher: str, pairs: Sequence[JudgedPair], left_out: int = 0) -> Calibration:
    """Fits both methods on `pairs`. `left_out` counts judged pairs whose margin is not exact.

    Raises ValueError where all pairs are of one class: there is nothing to fit then.
    """
    if len({pair.relevant for pair in pairs}) < 2:
        raise ValueError("calibration needs judged pairs of both kinds: some that answer their query, some that do not")
    probabilities = _cross_fitted(pairs)
    kinds = sorted({pair.kind for pair in pairs})
    where = {kind: [at for at, pair in enumerate(pairs) if pair.kind == kind] for kind in kinds}
    margins, relevant = [pair.margin for pair in pairs], [pair.relevant for pair in pairs]
    line = fit_temperature(margins, relevant)

    def of(positions: Sequence[int]) -> dict[Method, Figures]:
        return {
            method: figures([values[at] for at in positions], [relevant[at] for at in positions])
            for method, values in probabilities.items()
        }

    return Calibration(
        teacher=teacher,
        temperature=line.temperature,
        intercept=line.intercept,
        isotonic=fit_isotonic(margins, relevant),
        overall=of(range(len(pairs))),
        by_kind={kind: of(positions) for kind, positions in where.items()},
        left_out=left_out,
    )


def fit_temperature(margins: Sequence[float], relevant: Sequence[bool]) -> Platt:
    """Temperature and intercept that make the judgments likeliest (maximum likelihood, by Newton's method).

    The targets are Platt's, (n + 1) / (n + 2) and 1 / (n + 2) for n pairs of a class. Margins that separate the classes
    without fault so have a finite fit. Where higher margins are not likelier to be relevant the temperature is 1000:
    margins say nothing then.
    """
    positive = sum(relevant)
    high, low = (positive + 1) / (positive + 2), 1 / (len(relevant) - positive + 2)
    targets = [high if is_so else low for is_so in relevant]
    unit = max(map(abs, margins)) or 1.0  # margins of one size, so that no step depends on their unit
    scaled = [margin / unit for margin in margins]
    slope, intercept = 0.0, math.log((positive + 1) / (len(relevant) - positive + 1))
    for _ in range(_STEPS):
        step = _newton_step(scaled, targets, slope, intercept)
        slope, intercept = slope + step[0], intercept + step[1]
        if max(map(abs, step)) < 1e-10:
            break
    if slope * _HOTTEST <= unit:  # flat or falling: the share of the relevant is all that is known
        return Platt(temperature=_HOTTEST, intercept=math.log((positive + 1) / (len(relevant) - positive + 1)))
    return Platt(temperature=unit / slope, intercept=intercept)


def _newton_step(
    margins: Sequence[float], targets: Sequence[float], slope: float, intercept: float
) -> tuple[float, float]:
    """One step of slope and intercept of a logistic regression, no longer than 4 in log-odds: far from the optimum the
    curve is so flat that a whole step would miss it."""
    found = [sigmoid(slope * margin + intercept) for margin in margins]
    errors = [target - probability for target, probability in zip(targets, found, strict=True)]
    weights = [probability * (1 - probability) for probability in found]
    ridge = 1e-9  # all margins alike: no slope can be told from the intercept
    first = (sum(e * m for e, m in zip(errors, margins, strict=True)), sum(errors))
    mm = sum(w * m * m for w, m in zip(weights, margins, strict=True)) + ridge
    m1 = sum(w * m for w, m in zip(weights, margins, strict=True))
    ones = sum(weights) + ridge
    determinant = mm * ones - m1 * m1
    step = (ones * first[0] - m1 * first[1]) / determinant, (mm * first[1] - m1 * first[0]) / determinant
    longest = max(1.0, max(map(abs, step)) / 4)
    return step[0] / longest, step[1] / longest


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
        line, isotonic = fit_temperature(margins, relevant), fit_isotonic(margins, relevant)
        for at, pair in enumerate(pairs):
            if folds[at] == fold:
                found["temperature"][at] = _short_of_certain(line(pair.margin), len(rest))
                found["isotonic"][at] = _short_of_certain(isotonic(pair.margin), len(rest))
    return found


def _short_of_certain(probability: float, judged: int) -> float:
    """The probability, no nearer to 0 and 1 than so many judgments can tell (the rule of succession)."""
    nearest = 1 / (judged + 2)
    return min(max(probability, nearest), 1 - nearest)
