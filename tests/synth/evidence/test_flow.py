"""The flow between two pictures is theirs alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from hardcut.synth.evidence.flow import dense_flow


def pair(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    noise = np.random.default_rng(height).integers(0, 255, (height, width)).astype(np.uint8)
    one = cv2.GaussianBlur(noise, (0, 0), 3)
    return one, np.roll(one, 3, axis=1)


def test_what_was_looked_at_before_changes_nothing() -> None:
    """A process looks at videos of many sizes, in an order that is never the same."""
    first = dense_flow(*pair(90, 160))
    for height, width in ((160, 90), (120, 90), (100, 178), (64, 48)):
        dense_flow(*pair(height, width))
    assert np.array_equal(dense_flow(*pair(90, 160)), first)
