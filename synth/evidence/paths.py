"""Regions followed from window to window, and their ways cut into straight legs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import acos, degrees, hypot
from typing import TYPE_CHECKING, Literal

from hardcut.synth.evidence.flow import GRID
from hardcut.synth.evidence.regions import Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

Way = Literal["left to right", "right to left", "upwards", "downwards"]

_OVERLAP = 0.3
"""Least share of the smaller region that two sights of one thing have in common, the first one carried along."""
_TURN = 60.0
"""Degrees by which a leg's next stretch may turn from its way so far."""
_MISSED = 2
"""Windows for which a thing may be lost."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One thing on one straight way. `moved` is what it made good against the background, `camera` what the background
    did at its place meanwhile, `walked` the length of its way: pixels."""

    regions: tuple[Region, ...]
    moved: tuple[float, float]
    camera: tuple[float, float]
    walked: float

    @property
    def distance(self) -> float:
        return hypot(*self.moved)

    @property
    def way(self) -> Way:
        """The main direction."""
        across, down = self.moved
        if abs(across) >= abs(down):
            return "left to right" if across > 0 else "right to left"
        return "downwards" if down > 0 else "upwards"


@dataclass(slots=True)
class _Track:
    regions: list[Region] = field(default_factory=list)
    finished: bool = False


class Follower:
    """Is shown the regions of one window after the other, `hop` pictures apart, and joins those of one thing."""

    def __init__(self, hop: int) -> None:
        self._hop = hop
        self._tracks: list[_Track] = []

    def see(self, first: int, found: Sequence[Region]) -> list[Leg]:
        """The next window, from the picture `first` on; gives the legs of what was lost from sight."""
        running = []
        legs: list[Leg] = []
        for track in self._tracks:
            if first - track.regions[-1].first > _MISSED * self._hop:
                legs += legs_of(track.regions)
            else:
                running.append(track)
        likely = []
        for number, track in enumerate(running if found else ()):
            before = track.regions[-1]
            there = _carried(before, first)
            scores = [(_score(before, there, region), place) for place, region in enumerate(found)]
            likely += [(-score, number, place) for score, place in scores if score is not None]
        likely.sort()
        taken: dict[int, int] = {}
        for _, number, place in likely:
            if number not in taken.values() and place not in taken:
                taken[place] = number
        for place, region in enumerate(found):
            if place in taken:
                running[taken[place]].regions.append(region)
            else:
                running.append(_Track([region]))
        self._tracks = running
        return legs

    def end(self) -> list[Leg]:
        """The legs of what is still followed."""
        found = [leg for track in self._tracks for leg in legs_of(track.regions)]
        self._tracks = []
        return found


def legs_of(regions: Sequence[Region]) -> list[Leg]:
    """The straight parts of a thing's way."""
    parts: list[list[Region]] = []
    so_far = (0.0, 0.0)
    for region in regions:
        if not parts or _angle(so_far, region.moved) > _TURN:
            parts.append([])
            so_far = (0.0, 0.0)
        parts[-1].append(region)
        so_far = (so_far[0] + region.moved[0], so_far[1] + region.moved[1])
    return [_leg(part) for part in parts]


def _leg(regions: Sequence[Region]) -> Leg:
    """Of each region counts what it does until the next one is looked at, of the last one all."""
    shares = [(after.first - one.first) / (one.last - one.first) for one, after in pairwise(regions)] + [1.0]
    moved = [sum(region.moved[axis] * share for region, share in zip(regions, shares, strict=True)) for axis in (0, 1)]
    camera = [
        sum(region.camera[axis] * share for region, share in zip(regions, shares, strict=True)) for axis in (0, 1)
    ]
    walked = sum(hypot(*region.moved) * share for region, share in zip(regions, shares, strict=True))
    return Leg(tuple(regions), (moved[0], moved[1]), (camera[0], camera[1]), walked)


def _carried(region: Region, first: int) -> Mask:
    """Where a region is at a later picture if it goes on as it did."""
    share = (first - region.first) / (region.last - region.first)
    return _rastered(region.starts + (region.ends - region.starts) * share, region.mask)


def _score(before: Region, there: Mask, after: Region) -> float | None:
    """How well a region goes on with a later one; None where it cannot be the same thing. `there` is where the first
    one would be by then."""
    import numpy as np

    both, *each = (int(np.count_nonzero(mask)) for mask in (there & after.mask, there, after.mask))
    common = both / max(1, min(each))
    if common <= _OVERLAP:
        return None
    straight = 1 - _angle(before.moved, after.moved) / 90
    size = min(before.area, after.area) / max(before.area, after.area)
    return common + 0.5 * straight + 0.5 * size


def _rastered(points: NDArray[np.float32], like: Mask) -> Mask:
    import cv2
    import numpy as np

    rows, columns = like.shape
    mask = np.zeros(like.shape, np.uint8)
    places = np.minimum(np.maximum((points / GRID).astype(int), 0), (columns - 1, rows - 1))
    mask[places[:, 1], places[:, 0]] = 1
    return np.asarray(cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0)


def _angle(one: tuple[float, float], other: tuple[float, float]) -> float:
    lengths = hypot(*one) * hypot(*other)
    if lengths < 1e-9:
        return 0.0
    return degrees(acos(max(-1.0, min(1.0, (one[0] * other[0] + one[1] * other[1]) / lengths))))
