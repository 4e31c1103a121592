"""What movement and cuts are told from: all pictures of a video are looked at small for its cuts, and bursts of them
are kept at their own rate, in the same pass that decodes the frames for teachers.

A video that lasts no longer than `look_s` is kept whole. Of a longer one a burst is kept out of each of equal
stretches, within one shot where there is one long enough. A burst never crosses a cut or a gap.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from hardcut.media.container import Timeline
from hardcut.media.cuts import GAP_S, SIDE, Cut, CutFinder
from hardcut.schemas.settings import MediaSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOK_SIDE = 256
"""Longer side in pixels of the pictures of bursts."""
_QUALITY = 95
BURST_S = 4.0
_LEAST_BURST_S = 0.5
_SETTLED_S = 1.6
"""A cut is known at the latest so long after it."""

Stretch = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Burst:
    """Pictures one after the other at their own rate, within one shot: JPEGs, one behind the other in a file.

    What is told of all of it holds from `start_s` to `end_s`: its first and last picture, or the cut or the end of the
    video beside them.
    """

    path: Path
    times: tuple[float, ...]
    sizes: tuple[int, ...]
    start_s: float
    end_s: float

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """The pictures, height x width x 3 bytes, blue first. Raises OSError."""
        import cv2

        with self.path.open("rb") as file:
            for size in self.sizes:
                data = np.frombuffer(file.read(size), dtype=np.uint8)
                picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
                if picture is None:
                    raise OSError(f"{self.path}: a picture that was kept for movement is gone or none")
                yield np.asarray(picture, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Survey:
    """The bursts and cuts of a video in order of time. `watched` are the stretches that were looked at for cuts:
    without a gap of over half a second between pictures."""

    bursts: tuple[Burst, ...]
    cuts: tuple[Cut, ...]
    watched: tuple[Stretch, ...]
    duration_s: float

    @property
    def looked_s(self) -> float:
        """The seconds of all bursts together."""
        return sum(burst.end_s - burst.start_s for burst in self.bursts)


@dataclass(slots=True)
class Taken:
    """A burst while it is in memory."""

    times: list[float] = field(default_factory=list)
    jpegs: list[bytes] = field(default_factory=list)
    start_s: float | None = None
    end_s: float | None = None

    @property
    def length_s(self) -> float:
        return self.times[-1] - self.times[0] if self.times else 0.0

    def parted(self, at_s: float) -> tuple[Taken, Taken]:
        """What is before a time, and what is not."""
        place = next((number for number, time_s in enumerate(self.times) if time_s >= at_s), len(self.times))
        return (
            Taken(self.times[:place], self.jpegs[:place], self.start_s),
            Taken(self.times[place:], self.jpegs[place:], None, self.end_s),
        )


class Surveyor:
    """Is shown every decoded picture in order of time. `bursts`, `cuts` and `watched` are final after `end`."""

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self.bursts: list[Taken] = []
        self.cuts: list[Cut] = []
        self.watched: list[Stretch] = []

    def begin(self, timeline: Timeline, stream: VideoStream) -> None:
        """Starts afresh for a video."""
        from hardcut.media.sampler import Converter

        self.bursts, self.cuts, self.watched = [], [], []
        self._finder = CutFinder()
        self._small = Converter(stream, lambda width, height: _within(width, height, SIDE))
        self._larger = Converter(stream, lambda width, height: _within(width, height, LOOK_SIDE))
        self._last: float | None = None
        self._kept: float | None = None
        self._now = Taken()
        usual = float(np.median(np.diff(timeline.ticks))) * timeline.time_base if len(timeline.ticks) > 1 else 1.0
        every = max(1, round(1 / self._settings.look_fps / max(usual, 1e-6)))
        self._apart = (every - 0.5) * usual
        length = timeline.end_s
        whole = length <= self._settings.look_s
        self._plan = _Whole() if whole else _Spread(length, self._settings.look_s)

    def see(self, time_s: float, frame: VideoFrame) -> None:
        """The next picture."""
        if self._last is None or time_s - self._last > GAP_S:
            self._break(None, None)
            self.watched.append((time_s, time_s))
        self.watched[-1] = (self.watched[-1][0], time_s)
        self._last = time_s
        for cut in self._finder.see(time_s, self._small(frame)):
            self._cut(cut)
        self.bursts += self._plan.at(time_s, self)
        if not self._plan.wants(time_s, self._now):
            return
        if self._kept is None or time_s - self._kept >= self._apart or not self._now.times:
            picture = io.BytesIO()
            Image.fromarray(self._larger(frame)).save(picture, "JPEG", quality=_QUALITY)
            self._now.times.append(time_s)
            self._now.jpegs.append(picture.getvalue())
            self._kept = time_s

    def end(self) -> None:
        """No picture follows."""
        for cut in self._finder.finish():
            self._cut(cut)
        self._break(None, None)
        self.bursts += self._plan.rest()
        self.cuts.sort(key=lambda cut: cut.time_s)
        self.bursts = sorted((burst for burst in self.bursts if burst.times), key=lambda burst: burst.times[0])

    def facts(self, duration_s: float) -> dict[str, Any]:
        """What an index says of it (`store.py`); burst by burst where it starts and ends, its times and sizes."""
        bursts = []
        for burst in self.bursts:
            first, last = burst.times[0], burst.times[-1]
            start = burst.start_s if burst.start_s is not None else 0.0 if first <= GAP_S else first
            end = (
                burst.end_s
                if burst.end_s is not None
                else max(duration_s, last)
                if duration_s - last <= GAP_S
                else last
            )
            times = [round(time_s, 6) for time_s in burst.times]
            bursts.append((round(start, 6), round(end, 6), times, [len(jpeg) for jpeg in burst.jpegs]))
        return {
            "bursts": bursts,
            "cuts": [(round(cut.time_s, 6), round(cut.before_s, 6), cut.change) for cut in self.cuts],
            "watched": [(round(start, 6), round(end, 6)) for start, end in self.watched],
            "duration_s": round(duration_s, 6),
        }

    def release(self) -> Taken:
        """The burst that is being taken; a new one begins."""
        taken, self._now = self._now, Taken()
        self._kept = None
        return taken

    def _cut(self, cut: Cut) -> None:
        self.cuts.append(cut)
        middle = (cut.before_s + cut.time_s) / 2
        before, _ = self._now.parted(cut.before_s + 1e-6)
        _, after = self._now.parted(cut.time_s)
        if before.times and cut.before_s - before.times[-1] <= GAP_S:
            before.end_s = middle
        after.start_s = middle
        self._now = after
        self.bursts += self._plan.ended(before)

    def _break(self, ends: float | None, starts: float | None) -> None:
        """The pictures so far and those that follow do not belong together."""
        taken = self.release()
        taken.end_s = ends
        self._now.start_s = starts
        self.bursts += self._plan.ended(taken)


class _Whole:
    """Keeps everything."""

    def at(self, time_s: float, surveyor: Surveyor) -> list[Taken]:
        return []

    def wants(self, time_s: float, now: Taken) -> bool:
        return True

    def ended(self, taken: Taken) -> list[Taken]:
        return [taken] if taken.times else []

    def rest(self) -> list[Taken]:
        return []


class _Spread:
    """Keeps the longest burst, of at most BURST_S, of each of equal stretches."""

    def __init__(self, length_s: float, look_s: float) -> None:
        self._count = max(1, int(look_s / BURST_S))
        self._each = length_s / self._count
        self._number = 0
        self._best: Taken | None = None

    def at(self, time_s: float, surveyor: Surveyor) -> list[Taken]:
        """What is settled of the stretches before a time."""
        number = min(int(time_s / self._each), self._count - 1)
        if number == self._number:
            return []
        self._offer(surveyor.release())
        found, self._best, self._number = self.rest(), None, number
        return found

    def wants(self, time_s: float, now: Taken) -> bool:
        """Until a cut shortly before the end of a burst would be known, it goes on."""
        full = self._best is not None and self._best.length_s >= BURST_S - _LEAST_BURST_S
        return not full and now.length_s < BURST_S + _SETTLED_S

    def ended(self, taken: Taken) -> list[Taken]:
        self._offer(taken)
        return []

    def rest(self) -> list[Taken]:
        return [self._best] if self._best else []

    def _offer(self, taken: Taken) -> None:
        if taken.length_s > BURST_S:
            taken, _ = taken.parted(taken.times[0] + BURST_S + 1e-6)
            taken.end_s = None
        if taken.length_s >= _LEAST_BURST_S and (self._best is None or taken.length_s > self._best.length_s):
            self._best = taken


def _within(width: int, height: int, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
