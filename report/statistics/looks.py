"""Whether a look at the videos alone tells which of two is the answer of a query that nobody has read.

A comparison is a query's answer and a video that does not answer it, as a reranker meets them. The auditors know a few
cheap features of both videos' frames and files. They are the simplest that could find a shortcut: one goes by the
single feature that leans most, the other by all of them (ridge regression on what one video has more of). They are
judged on comparisons of which they have seen neither video. Chance is what they reach where the features are dealt out
to the videos anew. Pure functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hardcut.report.statistics.shortcuts import FOLDS
from hardcut.schemas.ids import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST = 40
"""Comparisons without which nothing can be told."""
FEWEST_PARTS = 10
"""Groups of videos without which nothing can be told: their features are dealt out anew."""
DEALS = 40
WIDTHS = 3.0
"""Standard deviations of chance that its interval reaches: so that a clean set is hardly ever outside it, however many
looks are taken."""
_ALPHA = 10.0
AUDITORS = ("one feature", "all features")

Features = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A video that answers a query, and one that does not."""

    answer: str
    other: str


@dataclass(frozen=True, slots=True)
class Looked:
    """How often the auditor that does best takes the answer for the answer (a tie is half), how far above one half
    that may be by chance, and the features that lean most, with the share of comparisons in which the answer has more
    of each."""

    comparisons: int
    auditor: str
    rate: float
    reach: float
    leaning: tuple[tuple[str, float], ...]

    @property
    def by_chance(self) -> bool:
        """Whether the rate is within what chance gives."""
        return self.rate <= 0.5 + self.reach


def audit_looks(
    comparisons: Sequence[Comparison], features: Mapping[str, Features], parts: Mapping[str, str]
) -> Looked | None:
    """How well a look at the videos does. `features` by video, every video with the same names: numbers, or words of
    which each value is a feature of its own. `parts`: the group of each video, which folds do not part. None for too
    few comparisons or groups."""
    videos = sorted({video for one in comparisons for video in (one.answer, one.other)})
    named = sorted({parts[video] for video in videos})
    if len(comparisons) < FEWEST or len(named) < FEWEST_PARTS:
        return None
    import numpy as np

    names, table = _table([features[video] for video in videos])
    place = {video: at for at, video in enumerate(videos)}
    pairs = np.array([[place[one.answer], place[one.other]] for one in comparisons])
    fold_of = {part: int(digest(part)[:8], 16) for part in named}
    order = sorted(named, key=lambda part: fold_of[part])
    folds = {part: at % FOLDS for at, part in enumerate(order)}
    fold = np.array([folds[parts[video]] for video in videos])
    rates = _rates(table, pairs, fold)
    rng = np.random.default_rng(0)
    chance = np.array([_rates(table[rng.permutation(len(table))], pairs, fold) for _ in range(DEALS)])
    reaches = np.maximum(0.0, chance.mean(axis=0) - 0.5) + WIDTHS * chance.std(axis=0, ddof=1)
    best = int(np.argmax(rates - reaches))
    return Looked(len(pairs), AUDITORS[best], float(rates[best]), float(reaches[best]), _leaning(names, table, pairs))


def leaning_features(
    comparisons: Sequence[Comparison], features: Mapping[str, Features], most: int = 8
) -> list[tuple[str, float]]:
    """The features that lean most, each with the share of comparisons in which the answer has more of it."""
    import numpy as np

    videos = sorted({video for one in comparisons for video in (one.answer, one.other)})
    if not videos:
        return []
    place = {video: at for at, video in enumerate(videos)}
    names, table = _table([features[video] for video in videos])
    pairs = np.array([[place[one.answer], place[one.other]] for one in comparisons])
    return list(_leaning(names, table, pairs)[:most])


def _table(rows: Sequence[Features]) -> tuple[list[str], NDArray[Any]]:
    """The names of the columns, and a row for each video: ranks of numbers from -1 to 1 (so that no one video weighs
    more than others), 0 and 1 for words."""
    import numpy as np

    names, columns = [], []
    for name in rows[0]:
        values = [row[name] for row in rows]
        if all(isinstance(value, str) for value in values):
            for word, count in sorted(Counter(map(str, values)).items()):
                if 1 < count < len(values):
                    names.append(f"{name} {word}")
                    columns.append(np.array([2.0 * (value == word) for value in values]))
        elif len(set(values)) > 1:
            names.append(name)
            _, rank, counts = np.unique(np.array(values, dtype=float), return_inverse=True, return_counts=True)
            columns.append((2 * np.cumsum(counts) - counts)[rank] / len(values) - 1)  # of equal ones the middle
    return names, np.stack(columns, axis=1) if columns else np.zeros((len(rows), 1))


def _rates(table: NDArray[Any], pairs: NDArray[Any], fold: NDArray[Any]) -> NDArray[Any]:
    """The share of comparisons that each auditor tells right, one that has seen neither video."""
    import numpy as np

    apart = table[pairs[:, 0]] - table[pairs[:, 1]]
    more = np.sign(apart)
    one, other = fold[pairs[:, 0]], fold[pairs[:, 1]]
    right, told = np.zeros(len(AUDITORS)), 0
    for low in range(FOLDS):
        for high in range(low, FOLDS):
            test = ((one == low) & (other == high)) | ((one == high) & (other == low))
            seen = ~(np.isin(one, (low, high)) | np.isin(other, (low, high)))
            if not test.any() or not seen.any():
                continue
            leans = more[seen].mean(axis=0)
            most = int(np.argmax(np.abs(leans)))
            # Without an intercept, turning a comparison round changes nothing: the answer may always stand first. Some
            # thousand fits in closed form take a tenth of what scikit-learn's take.
            known = apart[seen]
            weights = np.linalg.solve(known.T @ known + _ALPHA * np.eye(known.shape[1]), known.sum(axis=0))
            for at, values in enumerate((apart[test, most] * leans[most], apart[test] @ weights)):
                right[at] += (values > 1e-9).sum() + 0.5 * (np.abs(values) <= 1e-9).sum()
            told += int(test.sum())
    return right / told if told else np.full(len(AUDITORS), 0.5)


def _leaning(names: Sequence[str], table: NDArray[Any], pairs: NDArray[Any]) -> tuple[tuple[str, float], ...]:
    """The features that lean most, those farthest from one half first."""
    import numpy as np

    apart = np.sign(table[pairs[:, 0]] - table[pairs[:, 1]])
    shares = ((apart > 0).mean(axis=0) + 0.5 * (apart == 0).mean(axis=0)).tolist()
    found = sorted(zip(names, shares, strict=False), key=lambda each: (-abs(each[1] - 0.5), each[0]))
    return tuple((name, round(share, 3)) for name, share in found)
