"""The way of one thing: one leg or more that were followed, put together again where it was lost from sight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import hypot, sqrt

from hardcut.synth.evidence.colours import NAMES, names
from hardcut.synth.evidence.paths import Leg
from hardcut.synth.evidence.tracks import Rect

_PAUSE_S = 0.35
_LOST_S = 1.0
_BEHIND = 0.1
"""For so long what goes on may be lost from sight, where it passes something of its colours; and so far (in sides of
the picture) behind may another part of it be found again."""
_EDGE = 0.004
"""What comes so near to an edge of the picture touches it: a pixel of what is looked at. Regions reach some pixels
beyond a thing."""
SAME_COLOURS = 0.4
_NEARER = 3.0
_FARTHER = -1.3
"""What stands still at another depth than the background moves along with it, at most three times as far further (near
things) or once as far less (all others). What moves otherwise moves by itself."""
_AXES = {"left to right": (0, 1, 1), "right to left": (0, 1, -1), "downwards": (1, 0, 1), "upwards": (1, 0, -1)}
"""Of each direction: the sides of a box along it, those across it, and its sign."""


@dataclass(frozen=True, slots=True)
class Way:
    """One or more legs of one thing in one direction."""

    legs: tuple[Leg, ...]
    side: int
    pixels: int
    longest_fast: int

    @property
    def regions(self) -> list:  # type: ignore[type-arg]
        return [region for leg in self.legs for region in leg.regions]

    @property
    def first(self) -> int:
        return self.legs[0].regions[0].first

    @property
    def last(self) -> int:
        return max(leg.regions[-1].last for leg in self.legs)

    @property
    def moved(self) -> tuple[float, float]:
        return sum(leg.moved[0] for leg in self.legs), sum(leg.moved[1] for leg in self.legs)

    @property
    def way(self) -> str:
        return max(self.legs, key=lambda leg: leg.distance).way if len(self.legs) == 1 else _way(self.moved)

    @property
    def creeps(self) -> bool:
        """Whether it was found in the longer windows."""
        one = self.legs[0].regions[0]
        return one.last - one.first > self.longest_fast

    @property
    def path(self) -> float:
        return hypot(*self.moved) / self.side

    @property
    def straight(self) -> float:
        return self.path * self.side / max(sum(leg.walked for leg in self.legs), 1e-6)

    @property
    def size(self) -> float:
        return _median([region.extent for region in self.regions]) / self.side

    @property
    def area(self) -> float:
        return _median([region.area for region in self.regions])

    @property
    def seen_area(self) -> float:
        """How large it is where it is well seen: of what is against something of its colours a part alone is found."""
        areas = sorted(region.area for region in self.regions)
        return float(areas[3 * len(areas) // 4])

    @property
    def changed(self) -> float:
        return _median([float(region.changed) for region in self.regions]) / self.pixels

    def mean(self, name: str) -> float:
        """A measure of the regions, each counted by its area."""
        weights = sum(region.area for region in self.regions)
        return float(sum(getattr(region, name) * region.area for region in self.regions) / weights)

    @property
    def colours(self) -> list[float]:
        weights = sum(region.area for region in self.regions)
        columns = zip(*([share * region.area for share in region.colours] for region in self.regions), strict=True)
        return [sum(column) / weights for column in columns]

    @property
    def named(self) -> list[str]:
        """Its colours by name, one or two."""
        return names(self.colours, 0.25, 2, hues_first=True)

    @property
    def box(self) -> Rect:
        boxes = [box for region in self.regions for box in (region.box, region.end_box)]
        return (
            min(box[0] for box in boxes), min(box[1] for box in boxes),
            max(box[2] for box in boxes), max(box[3] for box in boxes),
        )  # fmt: skip

    @property
    def leaves(self) -> bool:
        """Whether it goes to the edge of the picture by its last two sights: the last one may reach too far ahead."""
        ahead, _, sign = _AXES[self.way]
        side = ahead + 2 if sign > 0 else ahead
        reached = []
        for region in self.regions[-2:]:
            share = (self.last - region.last) / (region.last - region.first)
            reached.append(region.end_box[side] + (region.end_box[side] - region.box[side]) * share)
        return all(each >= 1 - _EDGE if sign > 0 else each <= _EDGE for each in reached)

    @property
    def by_itself(self) -> bool:
        """Whether nothing that stands still could seem to move so."""
        camera = [sum(leg.camera[axis] for leg in self.legs) for axis in (0, 1)]
        shift, moved = hypot(*camera), hypot(*self.moved)
        if shift < 0.1 * moved or shift < 0.005 * self.side:
            return True
        along = (self.moved[0] * camera[0] + self.moved[1] * camera[1]) / shift**2
        across = sqrt(max(0.0, moved**2 - (along * shift) ** 2))
        return moved >= _NEARER * shift or along < _FARTHER or across >= max(0.9 * moved, shift)

    @property
    def support(self) -> dict[str, float]:
        """What was measured."""
        return {
            "path": round(self.path, 3),
            "of_size": round(min(self.path / max(self.size, 1e-3), 99.0), 2),
            "straight": round(self.straight, 3),
            "explained": round(self.mean("explained"), 3),
            "changed": round(self.changed, 4),
            "agreement": round(self.mean("agreement"), 3),
            "around": round(self.mean("around"), 3),
            "windows": float(len(self.regions)),
            "colour": round(self.colours[NAMES.index(self.named[0])], 3),
        }


def put_together(ways: Sequence[Way], times: Sequence[float]) -> list[Way]:
    """Pieces of one thing's way, one after the other, as one."""
    return _joined(ways, lambda way, later: _follows(way, later, times))


def found_again(ways: Sequence[Way], times: Sequence[float]) -> list[Way]:
    """What is lost from sight amid the picture and found again ahead of there, before long, is one thing. Another one
    of its colours would come in from an edge."""
    return _joined(ways, lambda way, later: _goes_on(way, later, times))


def _joined(ways: Sequence[Way], is_one: Callable[[Way, Way], bool]) -> list[Way]:
    """Each way put to the last and largest of those before it that are of one thing with it."""
    found: list[Way] = []
    for way in sorted(ways, key=lambda way: (way.first, -way.area, way.last)):
        before = [number for number, other in enumerate(found) if is_one(other, way)]
        if before:
            best = max(before, key=lambda number: (found[number].last, found[number].area))
            found[best] = replace(found[best], legs=(*found[best].legs, *way.legs))
        else:
            found.append(way)
    return found


def _follows(way: Way, later: Way, times: Sequence[float]) -> bool:
    """Whether a later piece begins where another one ends, and goes the same way."""
    return (
        way.last <= later.last
        and way.first < later.first
        and way.creeps == later.creeps
        and times[later.first] - times[way.last] <= _PAUSE_S
        and way.way == later.way
        and overlap(way.legs[-1].regions[-1].end_box, later.legs[0].regions[0].box) > 0.3
        and sum(map(min, way.colours, later.colours)) >= SAME_COLOURS
        and cosine(way.moved, later.moved) > 0.7
        and way.legs[-1].regions[-1].first < later.legs[0].regions[0].first
    )


def _goes_on(way: Way, later: Way, times: Sequence[float]) -> bool:
    """Whether a later way is that of the same thing, which was lost from sight in between."""
    end, start = way.regions[-1].end_box, later.regions[0].box
    ahead, across, sign = _AXES[way.way]
    first, last = (end[ahead] + end[ahead + 2]) / 2, (start[ahead] + start[ahead + 2]) / 2
    shared = min(end[across + 2], start[across + 2]) - max(end[across], start[across])
    lower = min(end[across + 2] - end[across], start[across + 2] - start[across])
    return (
        way.way == later.way
        and way.first < later.first
        and way.last < later.last
        and -_PAUSE_S <= times[later.first] - times[way.last] <= _LOST_S
        and sign * (last - first) >= -_BEHIND
        and shared > 0.5 * lower
        and sum(map(min, way.colours, later.colours)) >= SAME_COLOURS
        and cosine(way.moved, later.moved) > 0.9
        and not at_edge(end, way.way, ahead=True)
        and not at_edge(start, way.way, ahead=False)
    )


def _way(moved: tuple[float, float]) -> str:
    across, down = moved
    if abs(across) >= abs(down):
        return "left to right" if across > 0 else "right to left"
    return "downwards" if down > 0 else "upwards"


def at_edge(box: Rect, way: str, *, ahead: bool) -> bool:
    """Whether a thing touches the edge of the picture that it goes to, or comes from."""
    left, top, right, bottom = box
    near, far = _EDGE, 1 - _EDGE
    touches = {"left to right": (left <= near, right >= far), "right to left": (right >= far, left <= near),
               "downwards": (top <= near, bottom >= far), "upwards": (bottom >= far, top <= near)}  # fmt: skip
    return touches[way][ahead]


def overlap(one: Rect, other: Rect) -> float:
    """What two boxes share, of the smaller one."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(0.0, across) * max(0.0, down) / max(smaller, 1e-9)


def cosine(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (one[0] * other[0] + one[1] * other[1]) / max(hypot(*one) * hypot(*other), 1e-9)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
