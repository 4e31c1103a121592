"""How far people agree, out of their blind answers: raw agreement, Krippendorff's alpha, Fleiss' and Cohen's kappa.

Relevance is taken as nominal throughout; alpha is given as ordinal too, where an *in part* is nearer to both others
than they are to each other. Intervals are 95 %. Each of these is 1 minus observed over expected disagreement: the
observed one is taken for a share of as many pairs as the jackknife's variance of the whole ratio stands for, which has
Wilson's interval (as Korn and Graubard do for surveys, 1998). So it is no point where all agree. A statistic is None
where every answer is the same, so that nothing is said of agreement.
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
_GROUPS = 500
"""Of pairs that the jackknife leaves out, one after another: one pair each, where there are not more."""


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
    return Agreement(
        reviewers=len({reviewer for given in answers.values() for reviewer in given}),
        pairs=len(table),
        raw=_raw(table),
        raw_interval=_interval(table, _raw_parts, share=True),
        alpha=alpha(table),
        alpha_interval=_interval(table, _alpha_parts) if alpha(table) is not None else None,
        alpha_ordinal=alpha(table, "ordinal"),
        fleiss=fleiss(table),
        fleiss_interval=_interval(table, _fleiss_parts) if fleiss(table) is not None else None,
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
        kappa = cohen(said)
        interval = _interval(said, _cohen_parts) if kappa is not None else None
        raw = float((said[:, 0] == said[:, 1]).mean())
        found.append(Kappa(reviewers=(first, second), pairs=len(both), raw=raw, kappa=kappa, interval=interval))
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
    return _beyond_chance(*_fleiss_parts(table))


def cohen(said: NDArray[np.int64]) -> float | None:
    """Cohen's kappa (Cohen 1960) of two columns of answers."""
    return _beyond_chance(*_cohen_parts(said))


def share_interval(right: int, of: int) -> Interval:
    """The 95 % interval of a share (Wilson 1927)."""
    return _wilson(right / of, of) if of else (0.0, 1.0)


def _wilson(share: float, of: float, z: float = 1.959964) -> Interval:
    centre, half = share + z * z / (2 * of), z * (max(share * (1 - share), 0) / of + (z / (2 * of)) ** 2) ** 0.5
    scale = 1 + z * z / of
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def _beyond_chance(disagree: float, by_chance: float) -> float | None:
    return None if by_chance < 1e-12 else 1 - disagree / by_chance


def _raw_parts(table: Counts) -> tuple[float, float]:
    return 1 - _raw(table), 1.0


def _fleiss_parts(table: Counts) -> tuple[float, float]:
    """Observed disagreement, and that by chance."""
    share = table.sum(axis=0) / table.sum()
    return 1 - _raw(table), 1 - float((share**2).sum())


def _alpha_parts(table: Counts) -> tuple[float, float]:
    """The same of Krippendorff's nominal alpha: each answer counts the same, and chance draws without replacement."""
    people, answers = table.sum(axis=1), table.sum()
    same = ((table**2).sum(axis=1) - people) / (people - 1)
    totals = table.sum(axis=0)
    by_chance = (answers**2 - (totals**2).sum()) / (answers * (answers - 1))
    return 1 - float(same.sum() / answers), float(by_chance)


def _cohen_parts(said: NDArray[np.int64]) -> tuple[float, float]:
    import numpy as np

    first, second = (np.bincount(said[:, column], minlength=GRADES) / len(said) for column in (0, 1))
    return float((said[:, 0] != said[:, 1]).mean()), 1 - float((first * second).sum())


def _table(answers: Answers) -> Counts | None:
    import numpy as np

    rows = [np.bincount(list(given.values()), minlength=GRADES) for given in answers.values() if len(given) > 1]
    return np.array(rows) if rows else None


def _raw(table: Counts) -> float:
    """The mean share of pairs of people who say the same."""
    people = table.sum(axis=1)
    return float((((table**2).sum(axis=1) - people) / (people * (people - 1))).mean())


def _interval(
    rows: NDArray[np.int64], parts: Callable[[NDArray[np.int64]], tuple[float, float]], *, share: bool = False
) -> Interval:
    """The 95 % interval of 1 - observed / expected disagreement, over pairs; of a plain `share`, whose variance its own
    value tells, by the normal distribution and not by Student's."""
    import numpy as np

    pairs = len(rows)
    observed, expected = parts(rows)
    effective = float(pairs)
    if pairs > 2 and 0 < observed < 1:
        groups = np.array_split(np.arange(pairs), min(pairs, _GROUPS))
        without = (parts(np.delete(rows, group, axis=0)) for group in groups)
        left = np.array([disagree / max(by_chance, 1e-12) for disagree, by_chance in without])
        spread = (len(groups) - 1) / len(groups) * float(((left - left.mean()) ** 2).sum()) * expected**2
        effective = min(observed * (1 - observed) / spread, 100.0 * pairs) if spread > 0 else effective
    low, high = _wilson(observed, effective, *(() if share else (_student(pairs - 1),)))
    return 1 - high / expected, 1 - low / expected


def _student(degrees: int) -> float:
    """The .975 quantile of Student's t (Abramowitz and Stegun, 26.7.5; below 3 degrees as tabled)."""
    if degrees < 3:
        return (12.706, 12.706, 4.303)[degrees]
    z = 1.959964
    terms = ((z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384)
    return z + sum((term / float(degrees) ** power for power, term in enumerate(terms, 1)), 0.0)
