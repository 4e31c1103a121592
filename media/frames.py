"""What a stored frame is, for everybody who looks at pictures."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hardcut.schemas.errors import DamagedInput


@dataclass(frozen=True, slots=True)
class Frame:
    """A stored JPEG and the second of the video it was shown at. `sha256` is of the file's bytes."""

    path: Path
    time_s: float
    sha256: str

    def read(self) -> bytes:
        """The JPEG's bytes. Raises DamagedInput where they are not those that were stored, or are gone; then the file
        is removed, and the video is decoded again when its frames are wanted next."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DamagedInput("frames", f"stored frame {self.path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            with suppress(OSError):
                self.path.unlink()
            raise DamagedInput("frames", f"stored frame {self.path} does not fit its digest")
        return data


@dataclass(frozen=True, slots=True)
class FrameSet:
    """The frames of one video under one sampling, in order of time.

    `complete` is false where the file promised more than could be decoded; `missing` says what, a sentence each.
    """

    frames: tuple[Frame, ...]
    duration_s: float
    complete: bool
    missing: tuple[str, ...] = ()

    def spread(self, count: int) -> tuple[Frame, ...]:
        """At most `count` of the frames, evenly spread over time, the order kept."""
        total = len(self.frames)
        if count >= total:
            return self.frames
        return tuple(self.frames[(2 * i + 1) * total // (2 * count)] for i in range(count))
