"""What a stored frame is, for everybody who looks at pictures."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections.abc import Sequence
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

    def spread(self, count: int, shots: Sequence[tuple[float, float]] = ()) -> tuple[Frame, ...]:
        """At most `count` of the frames, evenly spread over time, the order kept.

        Each of the `shots` (seconds, start and end) that a frame is stored of has one among them, if there are no more
        such shots than `count`: its middle frame takes the place of one that stands closest to its neighbours.
        """
        total = len(self.frames)
        if count >= total:
            return self.frames
        chosen = [(2 * i + 1) * total // (2 * count) for i in range(count)]
        of_shots = [self._within(start, end) for start, end in shots]
        of_shots = [places for places in of_shots if places]
        if len(of_shots) <= count:
            for places in of_shots:
                if not set(places).intersection(chosen):
                    chosen.remove(self._superfluous(chosen, of_shots))
                    insort(chosen, places[len(places) // 2])
        return tuple(self.frames[place] for place in chosen)

    def _within(self, start_s: float, end_s: float) -> range:
        """The places of the frames from one second up to another."""
        first, last = (bisect_left(self.frames, edge, key=lambda frame: frame.time_s) for edge in (start_s, end_s))
        return range(first, last)

    def _superfluous(self, chosen: Sequence[int], of_shots: Sequence[range]) -> int:
        """The place among those chosen whose neighbours are closest, where it is not the only one of its shot."""
        alone = {held[0] for shot in of_shots if len(held := [place for place in chosen if place in shot]) == 1}
        edges = [-1, *chosen, len(self.frames)]
        apart = {place: after - before for before, place, after in zip(edges, chosen, edges[2:], strict=False)}
        return min((place for place in chosen if place not in alone), key=lambda place: (apart[place], place))
