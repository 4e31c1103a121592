"""What the camera does: it stands still, with proof, or moves so; nothing is said where neither is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from hardcut.synth.evidence.flow import Background
from hardcut.synth.evidence.steady import Hold

DRIFT = 0.016
"""How far the picture may drift in all, in longer sides of it, of a camera that stands."""
STAND_S = 1.5
STAND_SHARE = 0.6
"""It stands for at least so many seconds, or such a part of the burst."""
_STAYING = 0.1
"""While it moves, at most such a part of the picture stays put."""
PAN_SPEED = 0.03
"""Least shift a second, in longer sides of the picture, of a camera that moves."""
ZOOM_SPEED = 0.03
"""Least change of scale a second of a camera that zooms."""
PAN = 0.08
"""A pan is at least so far in all."""
ZOOM = 0.08
"""A zoom changes the size of things by at least so much in all."""
MAIN = 1.7
"""A movement goes so many times further in its main direction than in the other."""
MOVE_S = 0.4


@dataclass(frozen=True, slots=True)
class Stand:
    """The camera stands from the picture `first` to the picture `last`: `share` of the cells of the picture that can
    tell, `cells` at least, stay put, and it drifts by `drift` longer sides in all."""

    first: int
    last: int
    share: float
    cells: int
    drift: float


@dataclass(frozen=True, slots=True)
class Turn:
    """How the picture as a whole moves from the picture `first` to the picture `last`: a shift in longer sides of it
    and a scale, by `share` of its structure. Nothing is known where `share` is 0."""

    first: int
    last: int
    across: float
    down: float
    scale: float
    share: float


@dataclass(frozen=True, slots=True)
class CameraMove:
    """What the camera does ("pans to the right") from the picture `first` to the picture `last`; `far` is the shift in
    longer sides of the picture or the change of scale, `share` the part of the picture's structure that says so."""

    does: str
    first: int
    last: int
    far: float
    share: float


def stands(holds: Sequence[Hold], turns: Sequence[Turn], side: int) -> list[Stand]:
    """Where the camera stands. Between two holds that show it, others may hide it: where the picture lies as before."""
    runs: list[list[Hold]] = []
    for hold in holds:
        if hold.state != "still":
            continue
        moved = runs and any(
            turn.share and runs[-1][-1].last <= turn.first and turn.last <= hold.first and _speed(turn) > 0
            for turn in turns
        )
        if runs and hold.bridged and not moved:
            runs[-1].append(hold)
        else:
            runs.append([hold])
    found = []
    for run in runs:
        across = down = drift = 0.0
        for number, hold in enumerate(run):
            if number:
                across, down = across + hold.bridge[0], down + hold.bridge[1]
            drift = max(drift, hypot(across, down), hypot(across + hold.shift[0], down + hold.shift[1]))
        if drift <= DRIFT * side:
            share, cells = min(hold.share for hold in run), min(hold.cells for hold in run)
            found.append(Stand(run[0].first, run[-1].last, share, cells, round(drift / side, 4)))
    return found


def turn_of(first: int, last: int, background: Background | None, height: int, width: int) -> Turn:
    """What a window says of the camera."""
    import numpy as np

    if background is None:
        return Turn(first, last, 0.0, 0.0, 1.0, 0.0)
    x, y, wide, high = width / 2, height / 2, width / 4, height / 4
    places = [[x, y], [x - wide, y], [x + wide, y], [x, y - high], [x, y + high]]
    middle, left, right, top, bottom = background.displaced(np.array(places, dtype=np.float32))
    across, down = (float(value) / max(height, width) for value in middle)
    stretched = (1 + float(right[0] - left[0]) / (2 * wide), 1 + float(bottom[1] - top[1]) / (2 * high))
    return Turn(first, last, across, down, _scale(*stretched), background.share)


def _scale(across: float, down: float) -> float:
    """How much larger the picture gets: a zoom stretches it both ways. What does so one way only is the perspective of
    a camera that turns, or a homography that was fitted to little."""
    if (across - 1) * (down - 1) <= 0:
        return 1.0
    return max(min(across, down, key=lambda value: abs(value - 1)), 1e-3)


def lasting(start_s: float, end_s: float, whole_s: float) -> bool:
    """Whether a camera that stands for some of a burst does so long enough to be told."""
    return end_s - start_s >= min(STAND_S, STAND_SHARE * whole_s)


def camera_moves(times: Sequence[float], turns: Sequence[Turn], holds: Sequence[Hold]) -> list[CameraMove]:
    """The movements over the pictures of one burst. `turns` follow each other without overlap."""
    runs: list[tuple[str, list[Turn]]] = []
    still = [hold for hold in holds if hold.staying > _STAYING]
    for turn in turns:
        if any(hold.first < turn.last and turn.first < hold.last for hold in still):
            continue
        does = _does(turn, times[turn.last] - times[turn.first])
        if runs and runs[-1][0] == does and runs[-1][1][-1].last == turn.first:
            runs[-1][1].append(turn)
        else:
            runs.append((does, [turn]))
    found = []
    for does, run in runs:
        far = _far(does, run) if does else 0.0
        if far and times[run[-1].last] - times[run[0].first] >= MOVE_S:
            share = sum(turn.share for turn in run) / len(run)
            found.append(CameraMove(does, run[0].first, run[-1].last, round(far, 3), round(share, 3)))
    return found


def _speed(turn: Turn) -> float:
    """More than noise: a pixel or two of 256."""
    far = max(hypot(turn.across, turn.down), abs(turn.scale - 1) / 2)
    return far if far > 0.006 else 0.0


def _does(turn: Turn, seconds: float) -> str:
    """What the camera does in one window; empty where it stands or where that cannot be told."""
    if not turn.share or seconds <= 0:
        return ""
    zoom, across, down = abs(turn.scale - 1) / seconds, abs(turn.across) / seconds, abs(turn.down) / seconds
    if zoom >= ZOOM_SPEED and zoom > 1.5 * max(across, down):
        return "zooms in" if turn.scale > 1 else "zooms out"
    if max(across, down) < PAN_SPEED:
        return ""
    if across >= down:  # the picture goes the other way than the camera
        return "pans to the left" if turn.across > 0 else "pans to the right"
    return "tilts up" if turn.down > 0 else "tilts down"


def _far(does: str, turns: Sequence[Turn]) -> float:
    """How far a movement goes; 0 where that is not far enough, or not clearly this way."""
    across, down = abs(sum(turn.across for turn in turns)), abs(sum(turn.down for turn in turns))
    scale = 1.0
    for turn in turns:
        scale *= turn.scale
    grown = max(scale, 1 / scale) - 1
    if does.startswith("zooms"):
        return grown if grown >= ZOOM else 0.0
    main, other = (across, down) if does.startswith("pans") else (down, across)
    return main if main >= PAN and main >= MAIN * max(other, grown) else 0.0
