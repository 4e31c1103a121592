"""The camera's movements, out of how the picture as a whole moves from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hardcut.synth.evidence.flow import CameraStep

CARRIED = 0.75
"""Least share of the picture's structure that moves along with a moving camera: a lorry can fill half of it."""
PAN_SPEED = 0.015
"""Least shift a second, in longer sides of the picture, of a camera that moves."""
ZOOM_SPEED = 0.02
"""Least change of scale a second of a camera that zooms."""
PAN = 0.05
"""A pan is at least so far in all."""
ZOOM = 0.05
"""A zoom changes the size of things by at least so much in all."""


@dataclass(frozen=True, slots=True)
class CameraMove:
    """What the camera does ("pans to the right") from the frame `first` to the frame `last`; `share` is the part of
    the picture that says so."""

    does: str
    first: int
    last: int
    share: float


def camera_moves(times: Sequence[float], steps: Sequence[CameraStep]) -> list[CameraMove]:
    """The movements over the frames of one shot. `steps[i]` leads from the frame at `times[i]` to the next."""
    runs: list[tuple[str, int, int]] = []
    for at, step in enumerate(steps):
        does = _does(step, times[at + 1] - times[at])
        if runs and runs[-1][0] == does:
            runs[-1] = (does, runs[-1][1], at + 1)
        elif len(runs) > 1 and does and runs[-2][0] == does and runs[-1][2] - runs[-1][1] == 1:
            _, first, _ = runs[-2]  # a single step that was not seen interrupts no movement
            runs[-2:] = [(does, first, at + 1)]
        else:
            runs.append((does, at, at + 1))
    return [
        CameraMove(does, first, last, round(min(step.share for step in steps[first:last]), 3))
        for does, first, last in runs
        if does and last - first > 1 and _far_enough(does, steps[first:last])
    ]


def _does(step: CameraStep, seconds: float) -> str:
    """What the camera does in one step; empty where it stands or where that cannot be told."""
    if step.share < CARRIED or seconds <= 0:
        return ""
    zoom, across, down = abs(step.scale - 1) / seconds, abs(step.across) / seconds, abs(step.down) / seconds
    if zoom >= ZOOM_SPEED and zoom > max(across, down):
        return "zooms in" if step.scale > 1 else "zooms out"
    if max(across, down) < PAN_SPEED:
        return ""
    if across >= down:  # the picture goes the other way than the camera
        return "pans to the left" if step.across > 0 else "pans to the right"
    return "tilts up" if step.down > 0 else "tilts down"


def _far_enough(does: str, steps: Sequence[CameraStep]) -> bool:
    if does.startswith("zooms"):
        scale = 1.0
        for step in steps:
            scale *= step.scale
        return max(scale, 1 / scale) >= 1 + ZOOM
    across, down = sum(step.across for step in steps), sum(step.down for step in steps)
    return max(abs(across), abs(down)) >= PAN
