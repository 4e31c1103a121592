"""Which of the legs that were followed are told as movements, in which words, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

from hardcut.synth.evidence.paths import Leg
from hardcut.synth.evidence.tracks import Rect
from hardcut.synth.evidence.ways import SAME_COLOURS, Way, at_edge, cosine, found_again, overlap, put_together

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
MOMENT, AROUND_MOMENT, OF_MOMENT = 2, 0.7, 1.0
"""What is seen in so few windows shares at most such a part: otherwise it is the edge or the shadow of something
larger, or what that uncovers. What is seen in one alone goes at least its own length in it."""
_PIECE = 0.02
"""Shorter pieces of a way are not put together."""
_TURN_PAUSE_S = 0.5
_TO_AND_FRO = 3
"""So many ways one after the other, each back over the one before, are one movement to and fro."""
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


def movements(legs: Sequence[Leg], times: Sequence[float], height: int, width: int, fast: int) -> list[Movement]:
    """What is told of a burst, in order of time; `fast` is the length of the shorter windows in pictures."""
    side, pixels = max(height, width), height * width
    pieces = [Way((leg,), side, pixels, fast) for leg in legs if leg.distance >= _PIECE * side]
    ways = [way for way in put_together(pieces, times) if _shown(way)]
    ways, swings = _without_swings(ways, times)
    most = round(MOST * max(1.0, (times[-1] - times[0]) / 10))
    chosen = found_again(_each_once(ways)[:most], times)
    told = [_told(way) for way in chosen] + [_swing(swing) for swing in swings]
    return sorted(told, key=lambda each: (each.first, each.last, each.text, each.box))


def _shown(way: Way) -> bool:
    if way.path < PATH:
        return False
    measured = way.support
    return (
        measured["of_size"] >= (OF_LARGE if way.area > LARGE else OF_SIZE)
        and measured["straight"] >= STRAIGHT
        and measured["explained"] >= EXPLAINED
        and measured["changed"] >= CHANGED
        and way.by_itself
        and _is_clear(way, measured)
    )


def _is_clear(way: Way, measured: Mapping[str, float]) -> bool:
    """Whether it stands out where it creeps or is seen for a moment."""
    windows, around, of_size = measured["windows"], measured["around"], measured["of_size"]
    if way.creeps:
        return windows > 1 and around <= AROUND and of_size >= OF_CREEPING
    if windows > MOMENT:
        return True
    return around <= AROUND_MOMENT and (windows > 1 or of_size >= OF_MOMENT)


def _without_swings(ways: Sequence[Way], times: Sequence[float]) -> tuple[list[Way], list[list[Way]]]:
    """The ways that lead somewhere, and those to and fro."""
    rest = sorted(ways, key=lambda way: (way.first, way.last))
    swings: list[list[Way]] = []
    used: set[int] = set()
    for start, _way in enumerate(rest):
        if start in used:
            continue
        run = [start]
        for number in range(start + 1, len(rest)):
            last, after = rest[run[-1]], rest[number]
            if number in used or times[after.first] - times[last.last] > _TURN_PAUSE_S:
                continue
            back = cosine(last.moved, after.moved) < -0.7 and 0.5 < after.path / last.path < 2.0
            if back and after.first > last.first and overlap(last.box, after.box) > 0.5:
                run.append(number)
        if len(run) >= _TO_AND_FRO:
            swings.append([rest[number] for number in run])
            used.update(run)
    left = [way for number, way in enumerate(rest) if number not in used]
    for swing in swings:
        left = _without_parts(left, swing, times)
    return left, swings


def _without_parts(ways: Sequence[Way], swing: list[Way], times: Sequence[float]) -> list[Way]:
    """What is left when a swing is told: not its first and last stretch, which join it, nor what is dragged along."""
    boxes = [way.box for way in swing]
    where = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    left = []
    for way in ways:
        start, end = times[swing[0].first], times[max(each.last for each in swing)]
        apart = max(times[way.first] - end, start - times[way.last])
        within = overlap(way.box, where) > 0.6
        alike = sum(map(min, way.colours, swing[0].colours)) >= SAME_COLOURS
        along = abs(cosine(way.moved, swing[0].moved)) > 0.7
        if within and apart <= _TURN_PAUSE_S and alike and along:
            swing.append(way)
            swing.sort(key=lambda each: (each.first, each.last))
        elif not within or min(end, times[way.last]) - max(start, times[way.first]) < 0.5 * (
            times[way.last] - times[way.first]
        ):
            left.append(way)
    return left


def _each_once(ways: Sequence[Way]) -> list[Way]:
    """The most striking ones; what moves at the same time in the same place is a part of them, or a mistake."""
    chosen: list[Way] = []
    for way in sorted(ways, key=lambda way: (-_striking(way), way.first)):
        inside = any(
            min(way.last, other.last) - max(way.first, other.first) >= 0.5 * (way.last - way.first)
            and (overlap(way.box, other.box) > (0.3 if way.way == other.way else 0.6) or _one(way, other))
            for other in chosen
        )
        if not inside:
            chosen.append(way)
    return chosen


def _one(way: Way, other: Way) -> bool:
    """Whether two ways at one time are front and back of one thing."""
    alike = sum(map(min, way.colours, other.colours)) >= SAME_COLOURS
    return way.way == other.way and alike and overlap(way.box, other.box) > 0


def _striking(way: Way) -> float:
    """How far it goes and how large it is, 0..1."""
    return min(1.0, way.path / 0.3) * min(1.0, sqrt(way.area / 0.01)) * (0.5 + way.mean("explained") / 2)


def _told(way: Way) -> Movement:
    entering = at_edge(way.regions[0].box, way.way, ahead=False)
    leaving = way.leaves
    edge = " as it leaves" if leaving and not entering else " as it enters" if entering and not leaving else ""
    text = f"{_thing(way)} moves {_phrase(way.way)}{edge}"
    return Movement(text, way.first, way.last, way.box, confidence(way.support), way.support)


def _swing(ways: Sequence[Way]) -> Movement:
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


def _thing(way: Way) -> str:
    size = "small " if way.seen_area < 0.01 else "large " if way.area > LARGE else ""
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
