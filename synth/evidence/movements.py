"""Which of the legs that were followed are told as movements, in which words, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, log, sqrt

from hardcut.synth.evidence.colours import NAMES, names
from hardcut.synth.evidence.paths import Leg
from hardcut.synth.evidence.tracks import Rect

PATH = 0.055
"""A way of less (in longer sides of the picture) is no movement that anybody would speak of."""
OF_SIZE, OF_LARGE, OF_CREEPING = 0.33, 0.4, 0.6
"""Least way, in lengths of the thing itself along it, that of a large thing, and that of one that creeps: less is a
stir or a sway."""
LARGE = 0.12
STRAIGHT = 0.75
"""Least ratio of the way made good to the way walked."""
EXPLAINED = 0.2
"""Least share of the change in its place that a movement explains."""
CHANGED = 0.0011
"""Least part of the picture that changed by it."""
AROUND = 0.6
"""What creeps shares at most such a part of its movement with what is around it: otherwise something larger sways."""
_PIECE = 0.02
"""Shorter pieces of a way are not put together."""
_PAUSE_S = 0.35
_TURN_PAUSE_S = 0.5
_TO_AND_FRO = 3
"""So many ways one after the other, each back over the one before, are one movement to and fro."""
_SAME_COLOURS = 0.4
_NEARER = 3.0
_FARTHER = -1.3
"""What stands still at another depth than the background moves along with it, at most three times as far further (near
things) or once as far less (all others). What moves otherwise moves by itself."""
WEIGHTS = (1.64, 1.26, 1.02)
"""Of a constant and of each of the `measures`; fitted by `benchmarks/confidence.py`."""
_LEAST = {"path": PATH, "of_size": OF_SIZE, "straight": STRAIGHT, "explained": EXPLAINED, "changed": CHANGED}
_WEAKEST = -2.0
MOST = 8
"""Movements told of ten seconds, or of a shorter burst: the longest and largest ones."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What is told: from the picture `first` to the picture `last`; `box` holds the whole way."""

    text: str
    first: int
    last: int
    box: Rect
    confidence: float
    support: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Way:
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


def movements(legs: Sequence[Leg], times: Sequence[float], height: int, width: int, fast: int) -> list[Movement]:
    """What is told of a burst, in order of time; `fast` is the length of the shorter windows in pictures."""
    side, pixels = max(height, width), height * width
    pieces = [_Way((leg,), side, pixels, fast) for leg in legs if leg.distance >= _PIECE * side]
    ways = [way for way in _put_together(pieces, times) if _shown(way)]
    ways, swings = _without_swings(ways, times)
    most = round(MOST * max(1.0, (times[-1] - times[0]) / 10))
    chosen = _each_once(ways)[:most]
    told = [_told(way) for way in chosen] + [_swing(swing) for swing in swings]
    return sorted(told, key=lambda each: (each.first, each.last, each.text, each.box))


def _shown(way: _Way) -> bool:
    if way.path < PATH:
        return False
    measured = way.support
    return (
        measured["of_size"] >= (OF_LARGE if way.area > LARGE else OF_SIZE)
        and measured["straight"] >= STRAIGHT
        and measured["explained"] >= EXPLAINED
        and measured["changed"] >= CHANGED
        and way.by_itself
        and not (
            way.creeps and (measured["around"] > AROUND or measured["windows"] < 2 or measured["of_size"] < OF_CREEPING)
        )
    )


def _put_together(ways: Sequence[_Way], times: Sequence[float]) -> list[_Way]:
    """Pieces of one thing's way, one after the other, as one."""
    found: list[_Way] = []
    for way in sorted(ways, key=lambda way: (way.first, -way.area, way.last)):
        before = [
            number
            for number, other in enumerate(found)
            if other.last <= way.last
            and other.first < way.first
            and other.creeps == way.creeps
            and times[way.first] - times[other.last] <= _PAUSE_S
            and other.way == way.way
            and _overlap(other.legs[-1].regions[-1].end_box, way.legs[0].regions[0].box) > 0.3
            and sum(map(min, other.colours, way.colours)) >= _SAME_COLOURS
            and _cosine(other.moved, way.moved) > 0.7
            and other.legs[-1].regions[-1].first < way.legs[0].regions[0].first
        ]
        if before:
            best = max(before, key=lambda number: (found[number].last, found[number].area))
            found[best] = replace(found[best], legs=(*found[best].legs, *way.legs))
        else:
            found.append(way)
    return found


def _without_swings(ways: Sequence[_Way], times: Sequence[float]) -> tuple[list[_Way], list[list[_Way]]]:
    """The ways that lead somewhere, and those to and fro."""
    rest = sorted(ways, key=lambda way: (way.first, way.last))
    swings: list[list[_Way]] = []
    used: set[int] = set()
    for start, _way in enumerate(rest):
        if start in used:
            continue
        run = [start]
        for number in range(start + 1, len(rest)):
            last, after = rest[run[-1]], rest[number]
            if number in used or times[after.first] - times[last.last] > _TURN_PAUSE_S:
                continue
            back = _cosine(last.moved, after.moved) < -0.7 and 0.5 < after.path / last.path < 2.0
            if back and after.first > last.first and _overlap(last.box, after.box) > 0.5:
                run.append(number)
        if len(run) >= _TO_AND_FRO:
            swings.append([rest[number] for number in run])
            used.update(run)
    left = [way for number, way in enumerate(rest) if number not in used]
    for swing in swings:
        left = _without_parts(left, swing, times)
    return left, swings


def _without_parts(ways: Sequence[_Way], swing: list[_Way], times: Sequence[float]) -> list[_Way]:
    """What is left when a swing is told: not its first and last stretch, which join it, nor what is dragged along."""
    boxes = [way.box for way in swing]
    where = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    left = []
    for way in ways:
        start, end = times[swing[0].first], times[max(each.last for each in swing)]
        apart = max(times[way.first] - end, start - times[way.last])
        within = _overlap(way.box, where) > 0.6
        alike = sum(map(min, way.colours, swing[0].colours)) >= _SAME_COLOURS
        along = abs(_cosine(way.moved, swing[0].moved)) > 0.7
        if within and apart <= _TURN_PAUSE_S and alike and along:
            swing.append(way)
            swing.sort(key=lambda each: (each.first, each.last))
        elif not within or min(end, times[way.last]) - max(start, times[way.first]) < 0.5 * (
            times[way.last] - times[way.first]
        ):
            left.append(way)
    return left


def _each_once(ways: Sequence[_Way]) -> list[_Way]:
    """The most striking ones; what moves at the same time in the same place is a part of them, or a mistake."""
    chosen: list[_Way] = []
    for way in sorted(ways, key=lambda way: (-_striking(way), way.first)):
        inside = any(
            min(way.last, other.last) - max(way.first, other.first) >= 0.5 * (way.last - way.first)
            and (_overlap(way.box, other.box) > (0.3 if way.way == other.way else 0.6) or _one(way, other))
            for other in chosen
        )
        if not inside:
            chosen.append(way)
    return chosen


def _one(way: _Way, other: _Way) -> bool:
    """Whether two ways at one time are front and back of one thing."""
    alike = sum(map(min, way.colours, other.colours)) >= _SAME_COLOURS
    return way.way == other.way and alike and _overlap(way.box, other.box) > 0


def _striking(way: _Way) -> float:
    """How far it goes and how large it is, 0..1."""
    return min(1.0, way.path / 0.3) * min(1.0, sqrt(way.area / 0.01)) * (0.5 + way.mean("explained") / 2)


def _told(way: _Way) -> Movement:
    leaving = _at_edge(way.regions[-1].end_box, way.way, ahead=True)
    entering = _at_edge(way.regions[0].box, way.way, ahead=False)
    edge = " as it leaves" if leaving and not entering else " as it enters" if entering and not leaving else ""
    text = f"{_thing(way)} moves {_phrase(way.way)}{edge}"
    return Movement(text, way.first, way.last, way.box, confidence(way.support), way.support)


def _swing(ways: Sequence[_Way]) -> Movement:
    whole = max(ways, key=lambda way: way.path)
    boxes = [way.box for way in ways]
    box = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    support = {**whole.support, "turns": float(len(ways) - 1)}
    return Movement(
        f"{_thing(whole)} moves to and fro",
        ways[0].first,
        max(way.last for way in ways),
        box,
        confidence(whole.support),
        support,
    )


def _thing(way: _Way) -> str:
    size = "small " if way.area < 0.01 else "large " if way.area > LARGE else ""
    thing = f"{size}{' and '.join(way.named)} thing"
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def measures(support: Mapping[str, float]) -> list[float]:
    """What the confidence weighs: by how much (logarithm) the weakest measure passes its least value, and how far the
    thing goes in its own lengths."""
    weakest = min(log(max(support[name], 1e-6) / value) for name, value in _LEAST.items())
    return [max(weakest, _WEAKEST), log(max(support["of_size"], 0.1) / _LEAST["of_size"])]


def confidence(support: Mapping[str, float]) -> float:
    """How often a movement so supported is one (logistic regression; see docs/evidence.md)."""
    score = WEIGHTS[0] + sum(weight * value for weight, value in zip(WEIGHTS[1:], measures(support), strict=True))
    return round(1 / (1 + exp(-score)), 3)


def _phrase(way: str) -> str:
    return f"from {way}" if " to " in way else way


def _way(moved: tuple[float, float]) -> str:
    across, down = moved
    if abs(across) >= abs(down):
        return "left to right" if across > 0 else "right to left"
    return "downwards" if down > 0 else "upwards"


def _at_edge(box: Rect, way: str, *, ahead: bool) -> bool:
    """Whether a thing touches the edge of the picture that it goes to, or comes from."""
    left, top, right, bottom = box
    touches = {"left to right": (left <= 0.01, right >= 0.99), "right to left": (right >= 0.99, left <= 0.01),
               "downwards": (top <= 0.01, bottom >= 0.99), "upwards": (bottom >= 0.99, top <= 0.01)}  # fmt: skip
    return touches[way][ahead]


def _overlap(one: Rect, other: Rect) -> float:
    """What two boxes share, of the smaller one."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(0.0, across) * max(0.0, down) / max(smaller, 1e-9)


def _cosine(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (one[0] * other[0] + one[1] * other[1]) / max(hypot(*one) * hypot(*other), 1e-9)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
