"""How far reviewers agree, out of their blind answers: raw agreement and Krippendorff's alpha, with intervals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Review

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over `pairs` that at least two reviewers judged blind. Intervals are 95 %, bootstrapped over pairs."""

    reviewers: int
    pairs: int
    raw: float
    raw_interval: tuple[float, float]
    alpha: float | None
    alpha_interval: tuple[float, float] | None


def read_agreement(run: Path) -> Agreement | None:
    """The agreement of a run's reviewers; `None` where no pair has two blind answers."""
    path = run / Review.FILE
    return agreement(read_records(path, Review)) if path.exists() else None


def agreement(reviews: Iterable[Review]) -> Agreement | None:
    """Blind, submitted answers with a relevance, one a reviewer and wording, count."""
    answers: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for review in reviews:
        if review.blind and review.status == "submitted" and review.relevance is not None:
            answers[review.pair_id, review.query_digest][review.reviewer] = review.relevance
    units = [sorted(of.values()) for _, of in sorted(answers.items()) if len(of) > 1]
    if not units:
        return None
    import numpy as np

    random = np.random.default_rng(0)
    draws = [[units[i] for i in random.integers(0, len(units), len(units))] for _ in range(_RESAMPLES)]
    alphas = [found for found in map(alpha, draws) if found is not None]
    return Agreement(
        reviewers=len({reviewer for of in answers.values() for reviewer in of}),
        pairs=len(units),
        raw=_raw(units),
        raw_interval=_interval([_raw(draw) for draw in draws]),
        alpha=alpha(units),
        alpha_interval=_interval(alphas) if alphas else None,
    )


def alpha(units: Sequence[Sequence[int]]) -> float | None:
    """Krippendorff's alpha for nominal values (Krippendorff, 2011), each unit the values that it was given; `None`
    where every value is the same, so that nothing is said of agreement."""
    totals: Counter[int] = Counter()
    observed = 0.0
    for values in units:
        counts = Counter(values)
        totals.update(counts)
        observed += sum(count * (len(values) - count) for count in counts.values()) / (len(values) - 1)
    whole = totals.total()
    expected = sum(count * (whole - count) for count in totals.values()) / (whole - 1)
    return 1 - observed / expected if expected else None


def _raw(units: Sequence[Sequence[int]]) -> float:
    """The mean share of pairs of reviewers who say the same."""
    shares = [
        sum(count * (count - 1) for count in Counter(values).values()) / (len(values) * (len(values) - 1))
        for values in units
    ]
    return sum(shares) / len(shares)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[int(0.025 * (len(ordered) - 1))], ordered[round(0.975 * (len(ordered) - 1))]
