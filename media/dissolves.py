"""Dissolves: one shot that fades over into another within a second or two. What shows it is that the pictures in
between are mixtures of both ends, more of the one at first and of the other at last. Nothing that moves looks
like that."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from hardcut.media.likeness import changed_share, same_structure, shifted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

LENGTHS_S = (0.6, 1.0, 1.6)
EVERY_S = 0.09
"""Least time between the pictures that are kept."""
_LEAST = 12.0
"""Levels that the ends differ by, at least, on average."""
_STRUCTURE = 8.0
"""Least standard deviation of either end: what fades to black is no other shot yet."""
_MIXED = 0.1
"""Most of the squared difference of both ends that a picture between them is off from their mixture."""
_APART_S = 1.0


class Dissolve(NamedTuple):
    """From the last picture of one shot to the first of the next; `change` in levels of 255."""

    start_s: float
    end_s: float
    change: float


class _Seen(NamedTuple):
    time_s: float
    picture: Image
    grey: Floats


class DissolveFinder:
    """Is shown the pictures of an unbroken stretch in order of time."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque()
        self._best: tuple[float, Dissolve] | None = None
        self._told_s = float("-inf")

    def see(self, time_s: float, picture: Image) -> list[Dissolve]:
        """The dissolves that are certain by now."""
        import numpy as np

        found = self._settled(time_s)
        if self._seen and time_s - self._seen[-1].time_s < EVERY_S:
            return found
        self._seen.append(_Seen(time_s, picture, np.asarray(picture.astype(np.float32).mean(axis=2))))
        while time_s - self._seen[0].time_s > LENGTHS_S[-1] + 2 * EVERY_S:
            self._seen.popleft()
        times = [seen.time_s for seen in self._seen]
        for length in LENGTHS_S:
            place = bisect_left(times, time_s - length - EVERY_S / 2)
            if times[0] <= time_s - length + EVERY_S and place < len(times) - 4:
                self._offer(list(self._seen)[place:])
        return found

    def finish(self) -> list[Dissolve]:
        """What is left when no picture follows."""
        return self._settled(float("inf"))

    def _settled(self, now_s: float) -> list[Dissolve]:
        if self._best is None or now_s - self._best[1].end_s < 0.5:
            return []
        found, self._best = self._best[1], None
        self._told_s = found.end_s
        return [found]

    def _offer(self, part: list[_Seen]) -> None:
        import numpy as np

        first, last = part[0], part[-1]
        if first.time_s < self._told_s:
            return
        way = last.grey - first.grey
        if float(np.abs(way).mean()) < _LEAST or min(first.grey.std(), last.grey.std()) < _STRUCTURE:
            return
        length = float((way * way).sum())
        shares, worst = [], 0.0
        for quarter in (1, 2, 3):
            between = part[round(quarter * (len(part) - 1) / 4)].grey - first.grey
            share = float((between * way).sum()) / length
            off = between - share * way
            worst = max(worst, float((off * off).sum()) / length)
            shares.append(share)
        mixed = shares[0] < 0.45 and 0.2 < shares[1] < 0.8 and shares[2] > 0.55 and shares[0] < shares[1] < shares[2]
        if not mixed or worst > _MIXED:
            return
        if changed_share(first.picture, last.picture) < 0.45 or same_structure(first.picture, last.picture):
            return
        if shifted(first.picture, last.picture):
            return
        rank = worst + 0.2 * abs(shares[1] - 0.5)
        if self._best is None or rank < self._best[0]:
            change = float(np.abs(first.picture.astype(np.int16) - last.picture).max(axis=2).mean())
            self._best = (rank, Dissolve(first.time_s, last.time_s, round(change, 2)))
