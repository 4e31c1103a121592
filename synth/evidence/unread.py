"""Text that was seen and not read: where it stood and when, and what it was taken for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.tracks import SAME_LINE, Line, Reading, Rect, likeness

LEAST_PICTURES, LEAST_S = 3, 1.0
"""In so many pictures that were looked at, and for so long, the detector must find a line in one place."""
HIGHEST = 0.3
"""What is higher than this part of the picture is a texture that the detector stumbled over, no line."""
MAX_MISSED = 1
SAME_PLACE = 0.5
"""Share of the smaller of two boxes inside the other from which on they are one place."""
_LEVEL, _LONG = 0.3, 1.5
"""By so much of its height a line that passes may seem to be higher or lower. It is so many times longer than high, as
parts of the picture: else it is a thing."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A place with text that is not read, from `start` to `end` (seconds); of text that passes, its whole way.
    `doubtful` is what it was most often read as; that is no evidence."""

    start: float
    end: float
    box: Rect
    doubtful: str = ""

    @property
    def told(self) -> str:
        """For people, with the place in per cent of the picture's width and height."""
        left, top, right, bottom = (round(100 * value) for value in self.box)
        place = f"{self.start:.1f}-{self.end:.1f} s, from {left},{top} to {right},{bottom} % of the picture"
        taken_for = f", read in doubt as {clean(self.doubtful, 40)!r}" if self.doubtful else ""
        return f"{place}: what looks like text{taken_for}"


@dataclass(slots=True)
class _Place:
    began: Rect
    way: Rect
    box: Rect
    first: int
    last: int
    pictures: int = 0
    texts: list[str] = field(default_factory=list)


def unread(
    times: Sequence[float], frames: Sequence[Sequence[Reading]], lines: Iterable[Line], duration_s: float
) -> list[Unread]:
    """The places of the readings (`frames[i]` are those at `times[i]`) that are no part of one of the `lines`."""
    read = list(lines)
    open_places: list[_Place] = []
    closed: list[_Place] = []
    for index, readings in enumerate(frames):
        closed += [place for place in open_places if index - place.last > MAX_MISSED + 1]
        open_places = [place for place in open_places if index - place.last <= MAX_MISSED + 1]
        for reading in readings:
            if reading.box[3] - reading.box[1] > HIGHEST:
                continue
            if any(line.start <= times[index] <= line.end and _same(line.box, reading.box) for line in read):
                continue
            place = next((each for each in open_places if _same(each.box, reading.box)), None)
            place = place or next((each for each in open_places if _passes(each.box, reading.box)), None)
            if place is None:
                place = _Place(reading.box, reading.box, reading.box, index, index)
                open_places.append(place)
            place.pictures += place.last < index or place.pictures == 0
            place.box, place.way, place.last = reading.box, _around(place.way, reading.box), index
            place.texts += [reading.text] if reading.text else []
    told = [_told(place, times, duration_s) for place in closed + open_places if place.pictures >= LEAST_PICTURES]
    lasting = [each for each in told if each.end - each.start >= LEAST_S]
    left = [each for each in lasting if not any(_goes_on(each, line) for line in read)]
    return sorted(left, key=lambda each: (each.start, each.box))


def _goes_on(place: Unread, line: Line) -> bool:
    """Whether a line that was read just before or after filled the very place: then it is the same text."""
    apart = max(line.start - place.end, place.start - line.end)
    return apart <= LEAST_S and likeness(line.box, place.box) >= SAME_LINE


def _told(place: _Place, times: Sequence[float], duration_s: float) -> Unread:
    step = times[1] - times[0] if len(times) > 1 else 0.0
    most = max(sorted(set(place.texts)), key=place.texts.count, default="")
    start, end = max(0.0, times[place.first] - step / 2), min(duration_s, times[place.last] + step / 2)
    passed = same_height(place.began, place.box) and not _same(place.began, place.box)
    box = place.way if passed else place.box
    return Unread(round(start, 3), round(end, 3), box, most)


def same_height(one: Rect, other: Rect) -> bool:
    """Whether two lines may be one that passes, at one height and as high."""
    level = _LEVEL * min(one[3] - one[1], other[3] - other[1])
    return abs(one[1] - other[1]) <= level and abs(one[3] - other[3]) <= level


def _passes(before: Rect, box: Rect) -> bool:
    """Whether a line went on to the left or to the right, and not so far that it would be another one."""
    long = all(right - left >= _LONG * (bottom - top) for left, top, right, bottom in (before, box))
    return long and same_height(before, box) and _shared(before, box) > 0


def _around(one: Rect, other: Rect) -> Rect:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _same(one: Rect, other: Rect) -> bool:
    return _shared(one, other) > 0 and _shared(one, other) >= SAME_PLACE * min(_area(one), _area(other))


def _shared(one: Rect, other: Rect) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _area(box: Rect) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
