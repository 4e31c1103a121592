"""Whether the text alone tells which of two queries about one video is the answered one.

Auditors look at both texts and see no video. Each is the simplest that could find a shortcut, judged on videos that it
has not seen: logistic regression on what one text has and the other has not. What no auditor tells, a student cannot
learn from the text either. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hardcut.report.statistics.shortcuts import FOLDS
from hardcut.schemas.dependencies import needs
from hardcut.schemas.ids import digest

FEWEST = 20
"""Pairs of texts without which nothing can be told: the chance interval of fewer is wider than .28 to .72."""
_FEATURES = 1 << 18
_AT_ONCE = 0.03
"""Share of the pairs that is taken out before the auditors look again."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Two texts of one form, of which the first is answered, and what its folds part by (a video or its group)."""

    id: str
    answered: str
    unanswered: str
    part: str


@dataclass(frozen=True, slots=True)
class Told:
    """How often each auditor is right (a tie is half), of so many pairs. Chance is one half."""

    pairs: int
    rates: Mapping[str, float]

    @property
    def reach(self) -> float:
        """How far the 95 % interval of a rate at chance reaches to either side."""
        return 0.98 / math.sqrt(self.pairs) if self.pairs else 0.5

    @property
    def worst(self) -> tuple[str, float]:
        """The auditor that is right most often, and how often."""
        return max(self.rates.items(), key=lambda each: each[1])

    @property
    def by_chance(self) -> bool:
        """Whether every auditor is within its chance interval."""
        return self.worst[1] <= 0.5 + self.reach


def audit(pairs: Sequence[Sides]) -> Told | None:
    """How well each auditor does; None for fewer than `FEWEST` pairs or fewer than two parts."""
    if not _enough(pairs):
        return None
    rates = {name: _rate(_unseen(vectors, pairs)) for name, vectors in _features(pairs).items()}
    return Told(len(pairs), rates)


def told_by_text(pairs: Sequence[Sides]) -> list[Sides]:
    """The pairs that must go for the rest to tell nothing: those that an auditor is surest of go first, a few at a
    time, until every auditor is within half of its chance interval (adversarial filtering: Le Bras et al., ICML 2020).
    """
    every = sorted(pairs, key=lambda pair: pair.id)
    if not _enough(every):
        return []
    features, left = _features(every), list(range(len(every)))
    waiting = list(features)
    while waiting and _enough([every[at] for at in left]):
        name = waiting[0]
        found = _unseen(features[name][left], [every[at] for at in left])
        rate, least = _rate(found), 0.5 + Told(len(left), {}).reach / 2
        if rate <= least:
            waiting.remove(name)
            continue
        waiting = [name, *(other for other in features if other != name)]  # what is taken out may tilt the others
        count = max(1, min(int(_AT_ONCE * len(left)), int((rate - least) * len(left))))
        surest = sorted(range(len(left)), key=lambda at: (-round(found[at], 9), left[at]))[:count]
        out = {left[at] for at in surest if found[at] > 0}
        left = [at for at in left if at not in out]
    kept = set(left)
    return [pair for at, pair in enumerate(every) if at not in kept]


def _enough(pairs: Sequence[Sides]) -> bool:
    return len(pairs) >= FEWEST and len({pair.part for pair in pairs}) > 1


def leaning_words(pairs: Sequence[Sides], most: int = 12) -> list[tuple[str, int, int]]:
    """(word, pairs where only the answered text has it, pairs where only the other has it), those that lean most to
    one side first, by their distance from chance."""
    from collections import Counter

    from hardcut.schemas.text.words import words

    answered: Counter[str] = Counter()
    unanswered: Counter[str] = Counter()
    for pair in pairs:
        one, other = set(words(pair.answered)), set(words(pair.unanswered))
        answered.update(one - other)
        unanswered.update(other - one)
    found = [(word, answered[word], unanswered[word]) for word in {*answered, *unanswered}]
    return sorted(found, key=lambda each: (-abs(each[1] - each[2]) / math.sqrt(each[1] + each[2]), each[0]))[:most]


def _rate(margins: Sequence[float]) -> float:
    right = sum(1.0 if margin > 1e-9 else 0.5 if margin >= -1e-9 else 0.0 for margin in margins)
    return right / len(margins)


def _features(pairs: Sequence[Sides]) -> dict[str, Any]:
    """What the answered text has more of than the other: words and pairs of them, runs of 2 to 4 letters, length."""
    with needs("scikit-learn", "publish"):
        from sklearn.feature_extraction.text import HashingVectorizer
    import numpy
    from scipy.sparse import csr_matrix

    options: dict[str, Any] = {"n_features": _FEATURES, "alternate_sign": False, "norm": None, "binary": True}
    ones, others = [pair.answered for pair in pairs], [pair.unanswered for pair in pairs]
    found: dict[str, Any] = {}
    for name, more in (
        ("words", {"ngram_range": (1, 2), "token_pattern": r"(?u)\w+"}),
        ("letters", {"ngram_range": (2, 4), "analyzer": "char_wb"}),
    ):
        vectorizer = HashingVectorizer(**options, **more)
        vectors = (vectorizer.transform(ones) - vectorizer.transform(others)).tocsc()
        found[name] = vectors[:, vectors.getnnz(axis=0) > 1].tocsr()  # what one pair alone has tells nothing of another
    lengths = [
        [len(one) - len(other), len(one.split()) - len(other.split())] for one, other in zip(ones, others, strict=True)
    ]
    scaled = numpy.sign(lengths) * numpy.log1p(numpy.abs(lengths))
    found["length"] = csr_matrix(scaled.astype(float))
    return found


def _unseen(vectors: Any, pairs: Sequence[Sides]) -> list[float]:
    """Out-of-fold decision values, above 0 where the answered text is taken for the answered one. Every other pair is
    turned round, so that there are two classes to learn."""
    import numpy
    from scipy.sparse import diags, vstack
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    if not vectors.shape[1]:
        return [0.0] * len(pairs)  # the texts have nothing that differs
    parts = [pair.part for pair in pairs]
    signs = numpy.array([1 if int(digest(pair.id)[:2], 16) % 2 else -1 for pair in pairs])
    if abs(signs.sum()) == len(signs):
        signs[::2] *= -1
    scale = numpy.sqrt(numpy.maximum(1.0, vectors.multiply(vectors).sum(axis=1).A1))
    turned = diags(signs / scale) @ vectors
    model = LogisticRegression(fit_intercept=False, solver="liblinear")
    values = numpy.zeros(len(pairs))
    for seen, unseen in GroupKFold(min(FOLDS, len(set(parts)))).split(turned, signs, parts):
        rows, wanted = turned[seen], signs[seen]
        if len(set(wanted)) == 1:  # of a few pairs all may be the same way round
            rows, wanted = vstack([rows, -rows[:1]]), numpy.append(wanted, -wanted[0])
        values[unseen] = model.fit(rows, wanted).decision_function(turned[unseen])
    return [float(value) for value in values * signs]
