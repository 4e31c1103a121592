"""How far people agree, out of their blind answers: raw agreement, Krippendorff's alpha, Fleiss' and Cohen's kappa.

Relevance is taken as nominal throughout; alpha is given as ordinal too, where an *in part* is nearer to both others
than they are to each other. Intervals are 95 %, bootstrapped over pairs (Efron & Tibshirani, chapter 13). A statistic
is None where every answer is the same, so that nothing is said of agreement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from hardcut.schemas.base import Frozen
from hardcut.schemas.dependencies import needs
from hardcut.schemas.judgments import Review
from hardcut.schemas.reviews import is_answer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    """Pairs by answers (0, 1, 2): how many people gave each."""

Interval = tuple[float, float]
Answers = Mapping[tuple[str, str], Mapping[str, int]]
"""Relevance by reviewer, by pair and the digest of its query's text."""

GRADES = 3
_DRAWS = 1000


class Agreement(Frozen):
    """Over `pairs` that at least two people judged blind."""

    reviewers: int
    pairs: int
    raw: float
    raw_interval: Interval
    alpha: float | None
    alpha_interval: Interval | None
    alpha_ordinal: float | None
    fleiss: float | None
    fleiss_interval: Interval | None


class Kappa(Frozen):
    """Cohen's kappa of two people over the pairs that both judged blind."""

    reviewers: tuple[str, str]
    pairs: int
    raw: float
    kappa: float | None
    interval: Interval | None


def blind_answers(reviews: Iterable[Review]) -> Answers:
    """What each person said blind of each pair, adjudications apart: whoever adjudicates sees the others' answers."""
    found: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for review in reviews:
        if is_answer(review) and review.relevance is not None and review.blind and not review.adjudicates:
            found[review.pair_id, review.query_digest][review.reviewer] = review.relevance
    return dict(sorted(found.items()))


def agreement(answers: Answers) -> Agreement | None:
    """Over all pairs with two answers or more; None where there is none."""
    table = _table(answers)
    if table is None:
        return None
    alphas = _drawn(table, alpha)
    return Agreement(
        reviewers=len({reviewer for given in answers.values() for reviewer in given}),
        pairs=len(table),
        raw=_raw(table),
        raw_interval=_interval(_drawn(table, _raw)) or (0.0, 1.0),
        alpha=alpha(table),
        alpha_interval=_interval(alphas),
        alpha_ordinal=alpha(table, "ordinal"),
        fleiss=fleiss(table),
        fleiss_interval=_interval(_drawn(table, fleiss)),
    )


def cohen_kappas(answers: Answers) -> list[Kappa]:
    """Of every two people who judged a pair in common, sorted by name."""
    import numpy as np

    found = []
    for first, second in combinations(sorted({reviewer for given in answers.values() for reviewer in given}), 2):
        both = [(given[first], given[second]) for given in answers.values() if first in given and second in given]
        if not both:
            continue
        said = np.array(both)
        interval = _interval(_drawn(said, cohen))
        raw = float((said[:, 0] == said[:, 1]).mean())
        found.append(Kappa(reviewers=(first, second), pairs=len(both), raw=raw, kappa=cohen(said), interval=interval))
    return found


def alpha(table: Counts, level: Literal["nominal", "ordinal"] = "nominal") -> float | None:
    """Krippendorff's alpha (Krippendorff 2011)."""
    with needs("krippendorff", "annotate"):
        import krippendorff
    if (table.sum(axis=0) > 0).sum() < 2:
        return None
    return float(krippendorff.alpha(value_counts=table, level_of_measurement=level, value_domain=range(GRADES)))


def fleiss(table: Counts) -> float | None:
    """Fleiss' kappa (Fleiss 1971), where pairs may have different numbers of answers: each pair's agreement counts the
    same, chance is over all answers."""
    share = table.sum(axis=0) / table.sum()
    return _beyond_chance(_raw(table), float((share**2).sum()))


def cohen(said: NDArray[np.int64]) -> float | None:
    """Cohen's kappa (Cohen 1960) of two columns of answers. (scikit-learn's, but fast enough to be bootstrapped.)"""
    import numpy as np

    first, second = (np.bincount(said[:, column], minlength=GRADES) / len(said) for column in (0, 1))
    return _beyond_chance(float((said[:, 0] == said[:, 1]).mean()), float((first * second).sum()))


def share_interval(right: int, of: int) -> Interval:
    """The 95 % interval of a share (Wilson 1927)."""
    if not of:
        return (0.0, 1.0)
    z = 1.959964
    centre, half = right / of + z * z / (2 * of), z * ((right * (of - right) / of + z * z / 4) / of**2) ** 0.5
    scale = 1 + z * z / of
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def _beyond_chance(observed: float, expected: float) -> float | None:
    return None if expected > 1 - 1e-12 else (observed - expected) / (1 - expected)


def _table(answers: Answers) -> Counts | None:
    import numpy as np

    rows = [np.bincount(list(given.values()), minlength=GRADES) for given in answers.values() if len(given) > 1]
    return np.array(rows) if rows else None


def _raw(table: Counts) -> float:
    """The mean share of pairs of people who say the same."""
    people = table.sum(axis=1)
    return float((((table**2).sum(axis=1) - people) / (people * (people - 1))).mean())


def _drawn(rows: NDArray[np.int64], statistic: Callable[[NDArray[np.int64]], float | None]) -> list[float]:
    """The statistic of samples of the rows, with replacement; the same ones each time."""
    import numpy as np

    random = np.random.default_rng(0)
    draws = (statistic(rows[random.integers(0, len(rows), len(rows))]) for _ in range(_DRAWS))
    return [value for value in draws if value is not None]


def _interval(values: list[float]) -> Interval | None:
    import numpy as np

    if not values:
        return None
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
