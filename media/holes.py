"""Holes in a recording: stretches that its pictures were lost of.

In the formats of broadcasts each picture lasts as long as all others, so where none follows there is a hole. Elsewhere
a picture may well be meant to stay for a minute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hardcut.media.container import open_video, read_timeline
from hardcut.media.packets import may_start_again

Hole = tuple[float, float]
"""Where the last picture before it ends, and where the next one begins, in seconds."""
_LEAST_S = 2.0
_LARGER = 4.0
"""Pictures are so many times further apart than they usually are."""


def find_holes(path: Path | str) -> tuple[Hole, ...]:
    """The holes of a file in order of time. Raises ItemError as the reading of its pictures does."""
    with open_video(path) as container:
        if not may_start_again(container):
            return ()
    timeline = read_timeline(path)
    shown = timeline.ticks * timeline.time_base - timeline.start_s
    gaps = np.diff(shown)
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    places = np.flatnonzero(gaps > max(_LEAST_S, _LARGER * usual))
    return tuple((round(float(shown[at]) + usual, 6), round(float(shown[at + 1]), 6)) for at in places)
