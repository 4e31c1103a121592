"""How much is shown of the video that a composed query starts from."""

from __future__ import annotations

LEAST = 2


def reference_frames(frames: int) -> int:
    """Half as many frames as of the video that is asked about, as judges are shown, and two at least."""
    return max(LEAST, frames // 2)
