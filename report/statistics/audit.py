"""How good a teacher is on all its pairs, estimated from pairs that were drawn by chance and judged by people. Pure
functions.

The audit shows the pair of a query's own video oftener than the others. So each judged pair counts by one over its
probability of being drawn (Hájek's estimator; Särndal, Swensson and Wretman, Model Assisted Survey Sampling, section
5.7), within what this teacher said, of own pairs and of others, whose numbers are known (post-stratification; Cochran,
Sampling Techniques, section 5A.9). For the pairs that were drawn and not judged those stand that were.

Intervals are 95 %, from the posterior of each share with the effective number of judged pairs, which stays honest where
no pair is relevant. The prior is Jeffreys', half a pair on either side (Brown, Cai and DasGupta 2001), but where a
teacher denies what was found: these are most pairs, hardly one is relevant, and half a pair would stand for many that
nobody saw. There it is a fifth. Where all pairs were judged, nothing is uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardcut.report.statistics.agreement import Interval
from hardcut.schemas.base import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DRAWS = 20_000
_PRIOR, _RARE_PRIOR = 0.5, 0.2
FEW = 10
"""With fewer judged pairs than this of one verdict a figure is told as resting on few."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair that was drawn with `probability`: whether people take it for relevant; None where nobody has settled
    it."""

    probability: float
    relevant: bool | None


@dataclass(frozen=True, slots=True)
class Cell:
    """Pairs of the run of which a teacher said the same, and which are alike in whether the query was written from the
    video: how many there are, and those that were drawn."""

    yes: bool
    population: int
    drawn: Sequence[Judged]
    own: bool = True


class TeacherEstimate(Frozen):
    """Precision and recall of a teacher's yes over all pairs of the run. None where a cell was not audited at all.
    `few`: fewer than `FEW` pairs of a verdict were judged, so that the intervals say little."""

    teacher: str
    pairs: int
    audited: int
    precision: float | None
    precision_interval: Interval
    recall: float | None
    recall_interval: Interval
    few: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """An estimated share, and the number of pairs drawn with equal probability that would tell it as well; infinite
    where all were judged."""

    value: float | None
    effective: float
    judged: int


def share_of(drawn: Sequence[Judged]) -> Share:
    """The share of relevant pairs among those that `drawn` was drawn from."""
    judged = [(each.probability, each.relevant) for each in drawn if each.relevant is not None]
    if not judged:
        return Share(None, 0.0, 0)
    answered = len(judged) / len(drawn)
    weights = [1 / (probability * answered) for probability, _ in judged]
    whole, spread = sum(weights), sum(weight * (weight - 1) for weight in weights)
    value = sum(weight * relevant for weight, (_, relevant) in zip(weights, judged, strict=True)) / whole
    if spread <= 1e-9:
        return Share(value, float("inf"), len(judged))
    effective = whole**2 / spread
    if 0 < value < 1:  # where the relevant ones weigh more than the others, less is known than their numbers tell
        told = zip(weights, judged, strict=True)
        variance = sum(weight * (weight - 1) * (relevant - value) ** 2 for weight, (_, relevant) in told) / whole**2
        effective = min(max(value * (1 - value) / variance, effective / 2), effective)
    return Share(value, effective, len(judged))


def estimate(teacher: str, cells: Sequence[Cell]) -> TeacherEstimate:
    """The estimate of one teacher from its cells. Cells without pairs may be missing."""
    import numpy as np

    sizes = {yes: sum(cell.population for cell in cells if cell.yes is yes) for yes in (True, False)}
    shares = {yes: share_of([one for cell in cells if cell.yes is yes for one in cell.drawn]) for yes in (True, False)}
    random = np.random.default_rng(0)
    counts = {yes: _count([cell for cell in cells if cell.yes is yes], shares[yes]) for yes in (True, False)}
    draws = {yes: np.zeros(_DRAWS) for yes in (True, False)}
    for cell in cells:
        draws[cell.yes] += cell.population * _posterior(random, cell)

    def interval(values: NDArray[np.float64], value: float | None) -> Interval:
        """With the estimate in it, also where all or none of those who were judged are relevant."""
        low, high = map(float, np.quantile(values, (0.025, 0.975)))
        return (low, high) if value is None else (min(low, value), max(high, value))

    right = counts[True]
    precision = right / sizes[True] if sizes[True] and right is not None else None
    recall = _recall(counts)
    shares_found = draws[True] / np.maximum(draws[True] + draws[False], 1e-12)
    return TeacherEstimate(
        teacher=teacher,
        pairs=sum(sizes.values()),
        audited=sum(share.judged for share in shares.values()),
        precision=precision,
        precision_interval=interval(draws[True] / sizes[True], precision) if sizes[True] else (0.0, 1.0),
        recall=recall,
        recall_interval=interval(shares_found, recall) if any(sizes.values()) else (0.0, 1.0),
        few=any(sizes[yes] > shares[yes].judged and shares[yes].judged < FEW for yes in (True, False)),
    )


def _count(cells: Sequence[Cell], together: Share) -> float | None:
    """How many pairs of these cells are relevant: those of a cell that nobody looked at as those of all together."""
    if not any(cell.population for cell in cells):
        return 0.0
    if together.value is None:
        return None
    shares = [share_of(cell.drawn).value for cell in cells]
    return sum(
        cell.population * (together.value if share is None else share)
        for cell, share in zip(cells, shares, strict=True)
    )


def _posterior(random: np.random.Generator, cell: Cell) -> NDArray[np.float64]:
    import numpy as np

    share = share_of(cell.drawn)
    value = share.value or 0.0
    if share.effective == float("inf"):
        return np.full(_DRAWS, value)
    relevant, prior = value * share.effective, _PRIOR if cell.yes or cell.own else _RARE_PRIOR
    return random.beta(relevant + prior, share.effective - relevant + prior, _DRAWS)


def _recall(counts: dict[bool, float | None]) -> float | None:
    """None where a verdict was not audited, and where nothing is relevant."""
    found, missed = counts[True], counts[False]
    if found is None or missed is None:
        return None
    return found / (found + missed) if found + missed > 0 else None
