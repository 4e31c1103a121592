"""How sure a mean over queries is, and whether two runs really differ. What is drawn is seeded, so repeatable.

Percentile bootstrap: Efron & Tibshirani 1993, section 13.3. Paired randomisation test: Smucker, Allan & Carterette,
"A comparison of statistical significance tests for information retrieval evaluation" (CIKM 2007). Correction for many
tests: Holm, "A simple sequentially rejective multiple test procedure" (1979).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hardcut.report.statistics.agreement import share_interval
from hardcut.schemas.base import Frozen

RESAMPLES = 10_000
LEVEL = 0.95
_AT_ONCE = 2_000_000
"""Drawn values that are held at a time."""


class Mean(Frozen):
    """A mean over so many queries with its interval; all are null where there is no query."""

    queries: int
    mean: float | None
    low: float | None
    high: float | None


def mean(values: Sequence[float]) -> Mean:
    """The mean with its 95 % percentile bootstrap interval."""
    import numpy as np

    if not values:
        return Mean(queries=0, mean=None, low=None, high=None)
    given = np.asarray(values, dtype=np.float64)
    means = np.concatenate(
        [given[drawn].mean(1) for drawn in _draws(len(given), lambda r, n: r.integers(n[1], size=n))]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Mean(queries=len(given), mean=float(given.mean()), low=float(low), high=float(high))


def measured(values: Sequence[float]) -> Mean:
    """The mean of a measure's values, from 0 to 1. Where all are 0 or 1 it is a share, and its interval is Wilson's: a
    bootstrap of ten successes of ten would say from 1 to 1."""
    if not values or not set(values) <= {0.0, 1.0}:
        return mean(values)
    right = int(sum(values))
    low, high = share_interval(right, len(values))
    return Mean(queries=len(values), mean=right / len(values), low=low, high=high)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm), in their order: below 0.05 they hold together at that level."""
    corrected, least = [0.0] * len(p_values), 0.0
    for place, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[at]))
        corrected[at] = least
    return corrected


def randomisation_test(differences: Sequence[float]) -> float:
    """Two-sided p-value of the mean difference of paired values: how often it is that large where signs are drawn."""
    import numpy as np

    given = np.asarray(differences, dtype=np.float64)
    if not given.any():
        return 1.0
    observed = abs(given.mean()) - 1e-12  # equal up to the order of summation counts as equal
    as_large = sum(
        int((abs((signs * given).mean(1)) >= observed).sum())
        for signs in _draws(len(given), lambda r, n: r.integers(2, size=n) * 2.0 - 1.0)
    )
    return (as_large + 1) / (RESAMPLES + 1)


def _draws(width: int, draw: Any) -> Iterator[Any]:
    """`RESAMPLES` rows of `width` drawn values, some rows at a time."""
    import numpy as np

    random = np.random.default_rng(0)
    rows = max(1, _AT_ONCE // width)
    for start in range(0, RESAMPLES, rows):
        yield draw(random, (min(rows, RESAMPLES - start), width))
