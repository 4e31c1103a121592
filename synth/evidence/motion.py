"""What moves and which way, and what the camera does: out of bursts of pictures at their own rate, one picture after
the other.

A movement is told where four things come together: the camera stands, or a homography explains how it moves; a region
moves against what is around it, and the flow there and the flow back agree; its way is long against its own size; and
following it explains how the picture changed there. What flickers, fades, is uncovered, glitters or is noise fails the
last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol

from hardcut.media.cuts import GAP_S
from hardcut.media.frames import Frame
from hardcut.media.holes import Hole
from hardcut.schemas.records import Box, Evidence, Span, Video
from hardcut.synth.evidence.camera import Turn, camera_moves, lasting, stands, turn_of
from hardcut.synth.evidence.colours import scene_colours
from hardcut.synth.evidence.flow import (
    SMALLEST_SIDE,
    Background,
    Shades,
    Step,
    carried,
    flow_step,
    grid,
    lengths,
    moving_background,
    still_background,
    structured,
)
from hardcut.synth.evidence.movements import Movement, movements
from hardcut.synth.evidence.paths import Follower, Leg
from hardcut.synth.evidence.regions import Region, Window, lab, regions
from hardcut.synth.evidence.steady import Hold, Steadiness
from hardcut.synth.evidence.tracks import Rect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

FAST_S, FAST = 0.27, 0.010
SLOW_S, SLOW = 1.07, 0.014
"""Seconds of a window, and the least displacement in it in longer sides of the picture: for what moves at the pace of
people and cars, and for what creeps."""
_AT_ONCE, _STEPS = 0.8, 3
"""What makes more than this share of its way from one picture to the next did not move, of at least so many steps."""


class Look(Protocol):
    """Pictures one after the other within one shot (`media/survey.py`). What is told of all of it holds from `start_s`
    to `end_s`."""

    @property
    def times(self) -> tuple[float, ...]: ...
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    def pictures(self) -> Iterator[Image]:
        """Height x width x 3 bytes, blue first."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of evidence of kind motion or colour, not yet of a video; `support` is what was measured."""

    kind: Literal["motion", "colour"]
    text: str
    start: float
    end: float
    box: Rect | None
    confidence: float
    support: Mapping[str, float] = field(default_factory=dict)


def find_motion(looks: Sequence[Look]) -> list[Finding]:
    """The movements in some bursts, in order of time. For a worker process.

    The camera stands, pans, tilts or zooms; things move from left to right, from right to left, upwards or downwards.
    A thing's box holds its whole way: with the direction that says where it started and where it ended.
    """
    found: list[Finding] = []
    for look in looks:
        if len(look.times) > 1:
            found += _Burst(look).findings()
    found = _joined(found)
    return sorted(found, key=lambda item: (item.start, item.end, item.kind, item.text, item.box or ()))


def find_colours(
    frames: Sequence[Frame], cuts: Sequence[float], duration_s: float, holes: Sequence[Hole] = ()
) -> list[Finding]:
    """The colours of each shot that a stored frame is of. `cuts` are seconds; a hole ends a shot. For a worker
    process."""
    found = []
    end_s = max(duration_s, *(frame.time_s for frame in frames), 0.0)
    edges = sorted({0.0, *cuts, *(edge for hole in holes for edge in hole), end_s})
    for number, (start, end) in enumerate(pairwise(edges)):
        last = number == len(edges) - 2
        scene = scene_colours(
            [frame for frame in frames if start <= frame.time_s < end or (last and frame.time_s == end)]
        )
        if scene:
            found.append(Finding("colour", scene[0], start, end, None, scene[1], {"share": scene[1]}))
    return found


def motion_evidence(video: Video, findings: Sequence[Finding]) -> list[Evidence]:
    """The findings as evidence of a video."""
    return [
        Evidence.create(
            video_id=video.video_id,
            kind=item.kind,
            text=item.text,
            span=Span(start=item.start, end=item.end),
            box=Box(left=item.box[0], top=item.box[1], right=item.box[2], bottom=item.box[3]) if item.box else None,
            confidence=item.confidence,
            support=dict(item.support) or None,
            extractor="opencv",
        )
        for item in findings
    ]


STILL = "the camera stands still"


def _joined(found: Sequence[Finding]) -> list[Finding]:
    """Where the camera stands in shots one behind the other, that is one line."""
    joined: list[Finding] = []
    standing: list[Finding] = []
    for item in sorted(found, key=lambda item: item.start):
        if item.text != STILL:
            joined.append(item)
        elif standing and item.start - standing[-1].end <= GAP_S / 2:
            last = standing.pop()
            weaker = min(last, item, key=lambda each: each.confidence)
            standing.append(Finding("motion", STILL, last.start, item.end, None, weaker.confidence, weaker.support))
        else:
            standing.append(item)
    return joined + standing


class _Picture:
    """A picture while windows need it (`regions.Shown`)."""

    def __init__(self, time_s: float, colour: Image) -> None:
        self.time_s = time_s
        self.shades = Shades(colour)
        self.step: Step | None = None
        """To the next picture."""
        self.stride: Step | None = None
        """To the picture a short window later: what is slow is seen better so. It is made when it is asked for."""
        self._lab: Floats | None = None

    @property
    def colour(self) -> Image:
        return self.shades.colour

    @property
    def lab(self) -> Floats:
        if self._lab is None:
            self._lab = lab(self.shades.colour)
        return self._lab


class _Burst:
    """The pictures of a burst, looked at in windows; so many are in memory as the longest window needs."""

    def __init__(self, look: Look) -> None:
        import numpy as np

        self._look = look
        self._times = look.times
        usual = float(np.median(np.diff(look.times)))
        self._fast = max(1, round(FAST_S / usual))
        self._slow = max(1, round(SLOW_S / usual / self._fast)) * self._fast
        self._pictures: dict[int, _Picture] = {}
        self._holds: list[Hold] = []
        self._turns: list[Turn] = []
        self._legs: list[Leg] = []
        self._rested: dict[int, bool] = {}

    def findings(self) -> list[Finding]:
        """All that is told of the burst."""
        height = width = 0
        steady = Steadiness()
        fast = _Windows(self._fast, max(1, self._fast // 2))
        slow = _Windows(self._slow, self._fast)
        previous: _Picture | None = None
        last = 0
        for number, colour in enumerate(self._look.pictures()):
            picture = _Picture(self._times[number], colour)
            height, width = colour.shape[:2]
            if min(height, width) < SMALLEST_SIDE:
                return []
            if previous is not None:
                previous.step = flow_step(previous.shades, picture.shades)
            self._pictures[number] = previous = picture
            self._holds += steady.see(number, picture.time_s, picture.shades.grey)
            known = self._holds[-1].last if self._holds else 0
            self._advance(fast, slow, known)
            oldest = min(fast.next, slow.next) - self._fast - 1
            for past in [each for each in self._pictures if each < oldest]:
                del self._pictures[past]
            last = number
        self._holds += steady.end(last, previous.shades.grey if previous else None)
        self._advance(fast, slow, last)
        self._legs += fast.follower.end() + slow.follower.end()
        return self._camera(height, width) + self._things(height, width)

    def _advance(self, fast: _Windows, slow: _Windows, known: int) -> None:
        """Looks at all windows that end with the picture `known` or before."""
        while fast.next + fast.length <= known:
            self._legs += fast.follower.see(fast.next, self._fast_regions(fast.next))
            fast.next += fast.hop
        while slow.next + slow.length <= known:
            self._legs += slow.follower.see(slow.next, self._slow_regions(slow.next))
            slow.next += slow.hop

    def _steps(self, first: int, length: int) -> list[Step]:
        return [step for at in range(first, first + length) if (step := self._pictures[at].step)]

    def _stride(self, at: int) -> Step:
        """The flow over a short window that begins with the picture `at`."""
        here = self._pictures[at]
        if here.stride is None:
            there = self._pictures[at + self._fast]
            here.stride = here.step if self._fast == 1 and here.step else flow_step(here.shades, there.shades)
        return here.stride

    def _standing(self, first: int, last: int) -> float | None:
        """By which share of the picture the camera stands, or what is behind is plain; None where that is not shown."""
        holds = [hold for hold in self._holds if hold.first < last and hold.last > first]
        if not holds or any(hold.state == "unknown" for hold in holds):
            return None
        return min(hold.share for hold in holds)

    def _fast_regions(self, first: int) -> list[Region]:
        import numpy as np

        last = first + self._fast
        here = self._pictures[first]
        height, width = here.shades.grey.shape
        points = grid(height, width)
        share = self._standing(first, last)
        steps = self._steps(first, self._fast)
        if share is not None and all(step.back is None for step in steps):
            return []
        places, sure = carried(steps, points)
        moved = np.asarray(places[-1] - points, dtype=np.float32)
        background: Background | None
        if share is not None:
            background = still_background(share)
        else:
            background = moving_background(points, moved, sure & structured(here.shades.grey, points))
            if not self._turns or first >= self._turns[-1].last:
                self._turns.append(turn_of(first, last, background, height, width))
        if background is None:
            return []
        window = self._window(first, last, points, moved, sure, background)
        return regions(window, FAST * max(height, width), _gradual(places, points))

    def _slow_regions(self, first: int) -> list[Region]:
        import numpy as np

        last = first + self._slow
        here = self._pictures[first]
        height, width = here.shades.grey.shape
        share = self._standing(first, last)
        if share is None:
            return []
        steps = [self._stride(at) for at in range(first, last, self._fast)]
        if all(step.back is None for step in steps):
            return []
        points = grid(height, width)
        places, sure = carried(steps, points)
        moved = np.asarray(places[-1] - points, dtype=np.float32)
        window = self._window(first, last, points, moved, sure, still_background(share))
        return regions(window, SLOW * max(height, width), _even(places, points))

    def _window(
        self, first: int, last: int, points: Floats, moved: Floats, sure: Mask, background: Background
    ) -> Window:
        here, there = self._pictures[first], self._pictures[last]
        return Window(first, last, here, there, points, moved, sure, background)

    def _camera(self, height: int, width: int) -> list[Finding]:
        found = []
        for stand in stands(self._holds, self._turns, max(height, width)):
            start, end = self._span(stand.first, stand.last)
            if lasting(start, end, self._look.end_s - self._look.start_s):
                support = {"share": stand.share, "cells": float(stand.cells), "drift": stand.drift}
                found.append(
                    Finding("motion", STILL, start, end, None, round(min(1.0, 0.5 + stand.share / 2), 3), support)
                )
        for move in camera_moves(self._times, self._turns, self._holds):
            start, end = self._span(move.first, move.last)
            support = {"share": move.share, "far": move.far}
            found.append(Finding("motion", f"the camera {move.does}", start, end, None, move.share, support))
        return found

    def _things(self, height: int, width: int) -> list[Finding]:
        told = movements(self._legs, self._times, height, width, self._fast)
        return [
            Finding("motion", each.text, *self._moments(each), each.box, each.confidence, each.support) for each in told
        ]

    def _moments(self, movement: Movement) -> tuple[float, float]:
        return self._times[movement.first], self._times[movement.last]

    def _span(self, first: int, last: int) -> tuple[float, float]:
        """What is told of the first or last picture holds for what the burst stands for beside it."""
        start = self._look.start_s if first == 0 else self._times[first]
        end = self._look.end_s if last == len(self._times) - 1 else self._times[last]
        return start, end


class _Windows:
    """Where windows of one length are, and who follows what is found in them."""

    def __init__(self, length: int, hop: int) -> None:
        self.length = length
        self.hop = hop
        self.next = 0
        self.follower = Follower(hop)


def _gradual(places: Sequence[Floats], points: Floats) -> Mask:
    """Which points do not come to their place all at once: a caption, a slide or a plate that gives way to another one
    of another size does that, and a thing that moves does not."""
    import numpy as np

    if len(places) < _STEPS:
        return np.ones(points.shape[:-1], dtype=np.bool_)
    steps = np.stack([lengths(after - before) for before, after in pairwise([points, *places])])
    return np.asarray(steps.max(axis=0) <= _AT_ONCE * steps.sum(axis=0))


def _even(places: Sequence[Floats], points: Floats) -> Mask:
    """Which points go evenly through a window: what hurries and stops is looked at in shorter ones."""
    import numpy as np

    quarters = [points, *(places[len(places) * part // 4 - 1] for part in (1, 2, 3, 4) if len(places) * part // 4)]
    ways = [after - before for before, after in pairwise(quarters)]
    total = places[-1] - points
    length = np.maximum(lengths(total), 1e-6)
    along = [(way[..., 0] * total[..., 0] + way[..., 1] * total[..., 1]) / length for way in ways]
    return np.asarray((np.max(along, axis=0) <= 0.5 * length) & (np.min(along, axis=0) >= 0.05 * length))
