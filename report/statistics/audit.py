"""How good a teacher is on all its pairs, estimated from pairs that were drawn by chance and judged by people. Pure
functions.

The audit draws as many yes as no, so shares in it are not shares of the run: each cell (what the teachers said
together, what this one said) counts by how many pairs of the run are in it (post-stratification; Cochran, Sampling
Techniques, section 5A.9). Intervals are 95 %, from the posterior of every cell under Jeffreys' prior (Brown, Cai &
DasGupta 2001), which stays honest where a cell has no relevant pair at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hardcut.report.statistics.agreement import Interval
from hardcut.schemas.base import Frozen

_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Cell:
    """Pairs of the run alike in what was said of them: how many, how many were audited, how many of those answer."""

    yes: bool
    population: int
    audited: int
    relevant: int


class TeacherEstimate(Frozen):
    """Precision and recall of a teacher's yes over all pairs of the run. None where a cell was not audited at all."""

    teacher: str
    pairs: int
    audited: int
    precision: float | None
    precision_interval: Interval
    recall: float | None
    recall_interval: Interval


def estimate(teacher: str, cells: Sequence[Cell]) -> TeacherEstimate:
    """The estimate of one teacher from its cells. Cells without pairs may be missing."""
    import numpy as np
    from numpy.typing import NDArray

    cells = [cell for cell in cells if cell.population]
    random = np.random.default_rng(0)
    shares = np.array(
        [random.beta(cell.relevant + 0.5, cell.audited - cell.relevant + 0.5, _DRAWS) for cell in cells]
    ).reshape(len(cells), _DRAWS)
    sizes = np.array([cell.population for cell in cells], dtype=float)
    yes = np.array([cell.yes for cell in cells], dtype=bool)
    known = np.array([cell.audited > 0 for cell in cells], dtype=bool)
    told = np.array([[cell.relevant / max(cell.audited, 1)] for cell in cells]).reshape(len(cells), 1)

    def precision(of: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = sizes[yes] @ of[yes] / sizes[yes].sum()
        return found

    def recall(of: NDArray[np.float64]) -> NDArray[np.float64]:
        found, whole = sizes[yes] @ of[yes], sizes @ of
        shares: NDArray[np.float64] = np.divide(found, whole, out=np.full_like(whole, np.nan), where=whole > 0)
        return shares

    def interval(values: NDArray[np.float64]) -> Interval:
        low, high = np.quantile(values, (0.025, 0.975))
        return float(low), float(high)

    return TeacherEstimate(
        teacher=teacher,
        pairs=int(sizes.sum()),
        audited=sum(cell.audited for cell in cells),
        precision=float(precision(told)[0]) if yes.any() and known[yes].all() else None,
        precision_interval=interval(precision(shares)) if yes.any() else (0.0, 1.0),
        recall=_number(float(recall(told)[0])) if cells and known.all() else None,
        recall_interval=interval(recall(shares)) if cells else (0.0, 1.0),
    )


def _number(value: float) -> float | None:
    return None if value != value else value
