"""How far the calls that are expected of a run may be from what it makes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from math import ceil, floor, sqrt
from typing import NamedTuple

from hardcut.pipeline.amounts import ENOUGH, Guess
from hardcut.pipeline.expected import Expected
from hardcut.schemas.teachers import TeacherSettings

_GROUPS = 10
_NOTHING = 1e-6
_SURE = {5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Student's t for so many groups: 95 of 100 intervals hold the truth."""

Key = tuple[str, TeacherSettings] | None
"""A stage and a teacher; None: all."""


class Interval(NamedTuple):
    """The fewest and the most calls."""

    low: float
    high: float

    @property
    def whole(self) -> tuple[int, int]:
        """Whole calls; what a sum of fractions is off by counts for nothing."""
        return floor(self.low + _NOTHING), ceil(self.high - _NOTHING)


def intervals(expected: Expected, again: Mapping[tuple[str, TeacherSettings], float]) -> dict[Key, Interval]:
    """By stage and teacher, and of all together: from the least to the most that follows from the settings where
    nothing was learned, and as far around that as what was learned scatters (a jackknife over groups of videos; Tukey,
    1958). `again`: the calls that a question takes."""

    def calls(guess: Guess, without: frozenset[str] = frozenset()) -> dict[Key, float]:
        found: defaultdict[Key, float] = defaultdict(float)
        for kind, amount in expected.amounts(guess, without).items():
            account = kind.stage, kind.teacher
            found[account] += amount.calls * again.get(account, 1.0)
        return {None: sum(found.values()), **found}

    least, most = calls("least"), calls("most")
    error = _errors(expected, calls)
    return {
        key: Interval(max(0.0, least.get(key, 0.0) - error.get(key, 0.0)), most[key] + error.get(key, 0.0))
        for key in most
    }


def _errors(expected: Expected, calls: Callable[[Guess, frozenset[str]], Mapping[Key, float]]) -> dict[Key, float]:
    """What the videos that are furthest leave open, and by how much those that are still to come scatter
    themselves."""
    furthest = max(map(expected.stages_done, expected.learned_from), default=0)
    taught = [video for video in expected.learned_from if expected.stages_done(video) == furthest]
    count = min(_GROUPS, len(taught))
    if count < ENOUGH:
        return {}
    parts = [frozenset(taught[at::count]) for at in range(count)]
    found = [calls("usual", part) for part in parts]
    left = max(1, expected.videos - len(taught))
    errors = {}
    for key in {key for each in found for key in each}:
        values = [each.get(key, 0.0) for each in found]
        mean = sum(values) / count
        variance = (count - 1) / count * sum((value - mean) ** 2 for value in values)
        errors[key] = _SURE[count] * sqrt(variance * (1 + len(taught) / left))
    return errors
