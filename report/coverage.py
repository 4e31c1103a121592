"""For how much of some videos movement was looked for."""

from __future__ import annotations

from dataclasses import dataclass

from hardcut.schemas.records import Video
from hardcut.schemas.text.times import duration_text

_NEARLY_ALL = 0.99
"""A burst ends with its last picture: of a video that was looked at whole, a little is left over."""


@dataclass(slots=True)
class Coverage:
    """Seconds over all videos that say it: those looked at, and those there are."""

    looked_s: float = 0.0
    of_s: float = 0.0

    def add(self, video: Video) -> None:
        """Counts a video."""
        if video.looked_s is not None:
            self.looked_s += min(video.looked_s, video.duration_s)
            self.of_s += video.duration_s

    def __str__(self) -> str:
        """In words; empty where all was looked at, or nobody wrote it down."""
        if self.looked_s >= _NEARLY_ALL * self.of_s:
            return ""
        return f"movement looked for in {duration_text(self.looked_s)} of {duration_text(self.of_s)}"
