"""Lines of text followed over the frames of a video: what stands still or moves slowly is one line, read many times."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise

from hardcut.media.holes import Hole

Rect = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the picture."""

SAME_TEXT = 0.75
"""Least likeness (Ratcliff-Obershelp) of two readings of one line."""
MAX_MOVE = 0.25
"""How far a line may move from frame to frame, as a fraction of the picture."""
SAME_LINE = 0.75
"""Least likeness (intersection over union) of the boxes of one line, read now and then."""
MAX_MISSED = 1
"""Frames in a row for which a line may be missing without being over."""

_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Reading:
    """A line of text as it was read in the frame number `frame`; its text is empty where it could not be read.
    `reader` names the recogniser where it is the second one."""

    frame: int
    text: str
    confidence: float
    box: Rect
    corners: tuple[tuple[float, float], ...] = ()
    reader: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text that stood in the picture from `start` to `end` (seconds); `best` is its surest reading, and
    `readings` are what it was read as, once for each picture that was looked at, `seen` where that was."""

    text: str
    start: float
    end: float
    box: Rect
    confidence: float
    best: Reading
    readings: tuple[str, ...]
    seen: tuple[Reading, ...] = ()

    @property
    def repeated(self) -> int:
        """How many pictures it was read in just so."""
        return self.readings.count(self.text)


@dataclass(slots=True)
class _Track:
    first: int
    last: int
    latest: Reading
    readings: list[Reading] = field(default_factory=list)

    def add(self, frame: int, reading: Reading) -> None:
        self.last = frame
        if reading is not self.latest or not self.readings:
            self.readings.append(reading)
        self.latest = reading


def follow(
    times: Sequence[float], frames: Sequence[Sequence[Reading]], duration_s: float, holes: Sequence[Hole] = ()
) -> list[Line]:
    """The lines of a video. `frames[i]` are the readings that hold at `times[i]`; a reading that still holds at a later
    frame without having been read again is the same object there and votes once.

    A line's text is the reading with the most confidence summed over all frames it was read in. A line seen from
    frame i to frame j stands from half a gap before times[i] to half a gap after times[j], within the video.
    No line goes on over one of the `holes`.
    """
    open_tracks: list[_Track] = []
    closed: list[_Track] = []
    for index, readings in enumerate(frames):
        broken = index > 0 and any(times[index - 1] < start and end <= times[index] for start, end in holes)
        missed = -1 if broken else MAX_MISSED
        still = [track for track in open_tracks if index - track.last <= missed + 1]
        closed += [track for track in open_tracks if index - track.last > missed + 1]
        open_tracks = still
        for reading, track in _match(readings, open_tracks):
            if track is None:
                track = _Track(index, index, reading)
                open_tracks.append(track)
            track.add(index, reading)
    lines = [_line(track, times, holes, duration_s) for track in closed + open_tracks]
    return sorted(lines, key=lambda line: (line.start, line.box[1], line.box[0], line.text))


def same_text(one: str, other: str) -> bool:
    """Whether two readings can be of one line. Other digits make another text: platform 7 is not platform 8."""
    if one == other:
        return True
    if _DIGITS.findall(one) != _DIGITS.findall(other):
        return False
    first, second = ("".join(text.casefold().split()) for text in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio() >= SAME_TEXT


def likeness(one: Rect, other: Rect) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / max(sum(areas) - width * height, 1e-9)


def _match(readings: Sequence[Reading], tracks: Sequence[_Track]) -> list[tuple[Reading, _Track | None]]:
    """Each reading with the track that it goes on, nearest first, no track twice."""
    near: list[tuple[float, int, int]] = []
    for number, reading in enumerate(readings):
        for position, track in enumerate(tracks):
            distance = _distance(reading.box, track.latest.box)
            if distance <= MAX_MOVE and same_text(reading.text, track.latest.text):
                near.append((distance, number, position))
    chosen: dict[int, int] = {}
    for _, number, position in sorted(near):
        if number not in chosen and position not in chosen.values():
            chosen[number] = position
    return [(reading, tracks[chosen[number]] if number in chosen else None) for number, reading in enumerate(readings)]


def _distance(one: Rect, other: Rect) -> float:
    """Between centres, the larger of the two directions."""
    across = abs(one[0] + one[2] - other[0] - other[2]) / 2
    down = abs(one[1] + one[3] - other[1] - other[3]) / 2
    return max(across, down)


def _line(track: _Track, times: Sequence[float], holes: Sequence[Hole], duration_s: float) -> Line:
    votes: defaultdict[str, float] = defaultdict(float)
    for reading in track.readings:
        votes[reading.text] += reading.confidence
    text = min(votes, key=lambda text: (-votes[text], text))
    best = max((reading for reading in track.readings if reading.text == text), key=lambda reading: reading.confidence)
    said = tuple(reading.text for reading in track.readings)
    return Line(
        text, *_span(track, times, holes, duration_s), best.box, best.confidence, best, said, tuple(track.readings)
    )


def _span(track: _Track, times: Sequence[float], holes: Sequence[Hole], duration_s: float) -> tuple[float, float]:
    gaps = [later - earlier for earlier, later in pairwise(times)] or [2 * duration_s]
    before = gaps[max(0, track.first - 1)]
    after = gaps[min(track.last, len(gaps) - 1)]
    first, last = times[track.first], times[track.last]
    start = max(0.0, first - before / 2, *(end for _, end in holes if end <= first))
    return start, max(start, min(duration_s, last + after / 2, *(begin for begin, _ in holes if begin > last)))
