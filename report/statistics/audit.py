"""How good a teacher is on all its pairs, estimated from pairs that were drawn by chance and judged by people. Pure
functions.

The audit draws as many yes as no, and later draws may go by another teacher. So each judged pair counts by one over its
probability of being drawn (Hájek's estimator; Särndal, Swensson and Wretman, Model Assisted Survey Sampling, section
5.7), within what this teacher said, whose numbers of pairs are known (post-stratification; Cochran, Sampling
Techniques, section 5A.9). For the pairs that were drawn and not judged those stand that were.

Intervals are 95 %, from the posterior of each share under Jeffreys' prior (Brown, Cai and DasGupta 2001) with the
effective number of judged pairs, which stays honest where no pair is relevant. Where all pairs were judged, nothing is
uncertain.
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
    """Pairs of the run of which a teacher said the same: how many there are, and those that were drawn."""

    yes: bool
    population: int
    drawn: Sequence[Judged]


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
    if 0 < value < 1:  # where the relevant ones weigh less than the others, more is known than their numbers tell
        told = zip(weights, judged, strict=True)
        variance = sum(weight * (weight - 1) * (relevant - value) ** 2 for weight, (_, relevant) in told) / whole**2
        effective = min(max(value * (1 - value) / variance, effective / 2), 2 * effective)
    return Share(value, effective, len(judged))


def estimate(teacher: str, cells: Sequence[Cell]) -> TeacherEstimate:
    """The estimate of one teacher from its cells. Cells without pairs may be missing."""
    import numpy as np

    sizes = {yes: sum(cell.population for cell in cells if cell.yes is yes) for yes in (True, False)}
    shares = {yes: share_of([one for cell in cells if cell.yes is yes for one in cell.drawn]) for yes in (True, False)}
    random = np.random.default_rng(0)
    draws = {yes: _posterior(random, share) for yes, share in shares.items()}

    def interval(values: NDArray[np.float64]) -> Interval:
        low, high = np.quantile(values, (0.025, 0.975))
        return float(low), float(high)

    right, missed = sizes[True] * draws[True], sizes[False] * draws[False]
    whole = np.maximum(right + missed, 1e-12)
    return TeacherEstimate(
        teacher=teacher,
        pairs=sum(sizes.values()),
        audited=sum(share.judged for share in shares.values()),
        precision=shares[True].value if sizes[True] else None,
        precision_interval=interval(draws[True]) if sizes[True] else (0.0, 1.0),
        recall=_recall(sizes, shares),
        recall_interval=interval(right / whole) if any(sizes.values()) else (0.0, 1.0),
        few=any(sizes[yes] > shares[yes].judged and shares[yes].judged < FEW for yes in (True, False)),
    )


def _posterior(random: np.random.Generator, share: Share) -> NDArray[np.float64]:
    import numpy as np

    value = share.value or 0.0
    if share.effective == float("inf"):
        return np.full(_DRAWS, value)
    relevant = value * share.effective
    return random.beta(relevant + 0.5, share.effective - relevant + 0.5, _DRAWS)


def _recall(sizes: dict[bool, int], shares: dict[bool, Share]) -> float | None:
    """None where a verdict was not audited, and where nothing is relevant."""
    counts = {yes: 0.0 if not sizes[yes] else shares[yes].value for yes in sizes}
    if None in counts.values():
        return None
    found, missed = (sizes[yes] * (counts[yes] or 0.0) for yes in (True, False))
    return found / (found + missed) if found + missed > 0 else None
