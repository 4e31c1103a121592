"""Things that move, out of the regions that stand out in each frame: followed over time and cut into straight legs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import hypot, log
from typing import Literal

from hardcut.synth.evidence.tracks import Rect

Point = tuple[float, float]
"""Across and down as fractions of the picture's longer side, so that a distance is the same in both directions."""
Way = Literal["left to right", "right to left", "upwards", "downwards", "larger", "smaller"]

REACH = 0.3
"""How far a thing may move between two frames, before its speed is known."""
STRAY = 0.12
"""How far it may stray from where its speed takes it, once that is known."""
SAME_COLOURS = 0.45
"""Least share of colours that two sights of one thing have in common."""
SAME_SIZE = 4.0
"""Most by which a thing's area changes between two frames; the edge of the picture cuts things off."""
MISSED = 2
"""Frames in a row for which a thing may be hidden."""
STEP = 0.006
"""A slower thing than this a frame stands still."""
LEG = 0.07
"""A leg that goes less far is no movement that anybody would speak of."""
STRAIGHT = 0.6
"""Least ratio of the way made good to the way walked within a leg."""
GROWTH = 1.8
"""A thing that stays in its place and whose area changes by this factor gets larger or smaller."""
NOTED = 1.04
"""Areas closer to each other than this factor are equal."""
GROWN = 0.01
"""Of smaller things than this it is not told."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A region that stands out in one frame. `area` is a fraction of the picture, `colours` sum up to 1,
    `cut` says that the picture's edge may hide a part of it."""

    frame: int
    centre: Point
    box: Rect
    area: float
    colours: tuple[float, ...]
    cut: bool


@dataclass(frozen=True, slots=True)
class Leg:
    """One thing on one straight way, from the first of `blobs` to the last. `stood` and `stays`: whether it was seen
    in its place before it started, and after it stopped."""

    way: Way
    blobs: tuple[Blob, ...]
    stood: bool
    stays: bool

    @property
    def distance(self) -> float:
        """What it made good, in longer sides of the picture."""
        return _apart(self.blobs[0].centre, self.blobs[-1].centre)


@dataclass(slots=True)
class _Track:
    blobs: list[Blob] = field(default_factory=list)

    def expected(self, frame: int) -> tuple[Point, float]:
        """Where the thing should be in a frame, and how far from there it may be."""
        last = self.blobs[-1]
        if len(self.blobs) < 2:
            return last.centre, REACH
        before = self.blobs[-2]
        ahead = (frame - last.frame) / (last.frame - before.frame)
        step = (last.centre[0] - before.centre[0], last.centre[1] - before.centre[1])
        place = (last.centre[0] + step[0] * ahead, last.centre[1] + step[1] * ahead)
        return place, STRAY + 0.5 * hypot(*step)


def legs(frames: Sequence[Sequence[Blob]]) -> list[Leg]:
    """The legs of everything that moves through consecutive frames, in order of time."""
    found = [leg for track in _follow(frames) for leg in _legs(track.blobs)]
    return sorted(found, key=lambda leg: (leg.blobs[0].frame, leg.blobs[-1].frame, leg.blobs[0].box))


def _follow(frames: Sequence[Sequence[Blob]]) -> list[_Track]:
    tracks: list[_Track] = []
    for blobs in frames:
        if not blobs:
            continue
        now = blobs[0].frame
        running = [track for track in tracks if now - track.blobs[-1].frame <= MISSED]
        pairs = sorted(
            (cost, number, position)
            for number, blob in enumerate(blobs)
            for position, track in enumerate(running)
            if (cost := _cost(track, blob)) is not None
        )
        taken: dict[int, int] = {}
        for _, number, position in pairs:
            if number not in taken and position not in taken.values():
                taken[number] = position
        for number, blob in enumerate(blobs):
            if number in taken:
                running[taken[number]].blobs.append(blob)
            else:
                tracks.append(_Track([blob]))
    return tracks


def _cost(track: _Track, blob: Blob) -> float | None:
    """How badly a blob goes on a track; None where it cannot."""
    last = track.blobs[-1]
    place, reach = track.expected(blob.frame)
    away = min(_apart(place, blob.centre) / reach, _apart(last.centre, blob.centre) / (STRAY / 2))
    common = sum(min(one, other) for one, other in zip(last.colours, blob.colours, strict=True))
    grown = abs(log(blob.area / last.area))
    if away > 1 or common < SAME_COLOURS or (grown > log(SAME_SIZE) and not (last.cut or blob.cut)):
        return None
    return away + (1 - common) + grown / log(SAME_SIZE)


def _legs(blobs: Sequence[Blob]) -> list[Leg]:
    """Cuts a track where the thing turns or stands."""
    if len(blobs) < 3:
        return []
    steps = [_step(one, other) for one, other in pairwise(blobs)]
    runs: list[tuple[str, int, int]] = []  # way, first blob, last blob
    for at, way in enumerate(_smooth(steps)):
        if runs and runs[-1][0] == way:
            runs[-1] = (way, runs[-1][1], at + 1)
        else:
            runs.append((way, at, at + 1))
    found: list[Leg] = []
    for at, (way, first, last) in enumerate(runs):
        part = tuple(blobs[first : last + 1])
        walked = sum(_apart(a.centre, b.centre) for a, b in pairwise(part))
        good = _apart(part[0].centre, part[-1].centre)
        if way == "still" or len(part) < 3 or good < LEG or good < STRAIGHT * walked:
            continue
        stood = at > 0 and runs[at - 1][0] == "still"
        stays = at + 1 < len(runs) and runs[at + 1][0] == "still"
        found.append(Leg(_way(part[0], part[-1]), part, stood, stays))
    return found or _growth(blobs)


def _growth(blobs: Sequence[Blob]) -> list[Leg]:
    """A thing that stays where it is and changes its size."""
    whole = [blob for blob in blobs if not blob.cut]
    if len(whole) < 4 or _apart(whole[0].centre, whole[-1].centre) > LEG or max(b.area for b in whole) < GROWN:
        return []
    ratio = whole[-1].area / whole[0].area
    ratios = [other.area / one.area for one, other in pairwise(whole)]
    up, down = sum(r > NOTED for r in ratios), sum(r < 1 / NOTED for r in ratios)
    if max(ratio, 1 / ratio) < GROWTH or 4 * min(up, down) > max(up, down):
        return []
    return [Leg("larger" if ratio > 1 else "smaller", tuple(whole), False, False)]


def _step(one: Blob, other: Blob) -> str:
    frames = other.frame - one.frame
    return _way(one, other) if _apart(one.centre, other.centre) > STEP * frames else "still"


def _smooth(steps: Sequence[str]) -> list[str]:
    """A single step that differs from equal neighbours on both sides is an error of measurement."""
    smoothed = list(steps)
    for at in range(1, len(steps) - 1):
        if steps[at - 1] == steps[at + 1] != "still":
            smoothed[at] = steps[at - 1]
    return smoothed


def _way(one: Blob, other: Blob) -> Way:
    across, down = other.centre[0] - one.centre[0], other.centre[1] - one.centre[1]
    if abs(across) >= abs(down):
        return "left to right" if across > 0 else "right to left"
    return "downwards" if down > 0 else "upwards"


def _apart(one: Point, other: Point) -> float:
    return hypot(one[0] - other[0], one[1] - other[1])
