"""What a homography says of the camera."""

from __future__ import annotations

import numpy as np
import pytest

from hardcut.synth.evidence.camera import turn_of
from hardcut.synth.evidence.flow import Background

HEIGHT, WIDTH = 144, 256
MIDDLE = np.array([[1, 0, WIDTH / 2], [0, 1, HEIGHT / 2], [0, 0, 1]])


def about_the_middle(rows: list[list[float]], across: float = 0.0) -> Background:
    """A homography that is told from the middle of the picture, and a shift."""
    shift = np.array([[1, 0, across], [0, 1, 0], [0, 0, 1]])
    return Background((shift @ MIDDLE @ np.array(rows) @ np.linalg.inv(MIDDLE)).astype(np.float32), 0.9)


@pytest.mark.parametrize(
    ("rows", "scale"),
    [
        ([[1.1, 0, 0], [0, 1.1, 0], [0, 0, 1]], 1.1),
        ([[0.9, 0, 0], [0, 0.92, 0], [0, 0, 1]], 0.92),
        ([[1.2, 0, 0], [0, 1, 0], [0, 0, 1]], 1.0),
        ([[0.9, 0, 0], [0, 1.1, 0], [0, 0, 1]], 1.0),
        ([[1, 0, 0], [0, 1, 0], [0.001, 0, 1]], 1.0),
        ([[1, 0, 0], [0, 1, 0], [0, -0.002, 1]], 1.0),
    ],
)
def test_a_zoom_stretches_the_picture_both_ways(rows: list[list[float]], scale: float) -> None:
    """A pan before three bottles on a plain wall was fitted with perspective, and told as a zoom."""
    turn = turn_of(0, 4, about_the_middle(rows, across=-5.0), HEIGHT, WIDTH)
    assert turn.scale == pytest.approx(scale, abs=0.005)
    assert turn.across == pytest.approx(-5 / WIDTH, abs=1e-4)


def test_nothing_is_known_without_a_background() -> None:
    turn = turn_of(0, 4, None, HEIGHT, WIDTH)
    assert (turn.share, turn.scale) == (0.0, 1.0)
