"""Cuts, found among all pictures of a video while they are decoded: PySceneDetect's adaptive detector proposes, and
what a flash, an inset, a change of light or a swing of the camera can have done is taken out again. Dissolves are
told from their mixtures (`dissolves.py`)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hardcut.media.dissolves import Dissolve, DissolveFinder
from hardcut.media.likeness import ALIKE, change, changed_share, same_structure, shifted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

SIDE = 96
"""Longer side in pixels of the pictures that are compared."""
GAP_S = 0.5
"""Nothing is told of what happens between pictures that are further apart."""
LEAST = 8.0
"""Least change of a cut that is noted (`likeness.change`); who tells of it may ask for more."""
_PROPOSED = 8.0
"""Least change, as PySceneDetect measures it (its content value, 0..255), of what is looked at more closely."""
_WINDOW = 2
"""Neighbours on each side that a cut has to stand out from."""
_AROUND_S = 0.45
"""How far before and behind a cut is looked for the same scene: a flash is over by then."""
_RISING = 2.0
"""What differs by so many times more half a second later fades in or out."""
_CHANGED_SHARE = 0.45
"""Of the cells of 8 x 8 pixels so many must change, each by 8 levels in a channel: less is an inset, or a slide."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The picture of `time_s` is the first of a new shot, that of `before_s` the last of the one before it: its
    neighbour, or the beginning of a dissolve. `change` is in levels of 255."""

    time_s: float
    before_s: float
    change: float


class _Seen(NamedTuple):
    time_s: float
    picture: Image


class CutFinder:
    """Is shown the pictures in order of time, and gives the cuts a little later. Needs scenedetect."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque()
        self._waiting: list[Cut] = []
        self._last: Cut | None = None
        self._start()

    def see(self, time_s: float, picture: Image) -> list[Cut]:
        """The cuts that are certain by now. `picture`: height x width x 3 bytes, red first."""
        found: list[Cut] = []
        if self._seen and time_s - self._seen[-1].time_s > GAP_S:
            found = self.finish()
            self._seen.clear()
            self._start()
        first = not self._seen
        found += self._faded(self._dissolves.see(time_s, picture))
        self._seen.append(_Seen(time_s, picture))
        for _ in range(_WINDOW + 1 if first else 1):  # so that a cut after the first picture has neighbours too
            self._propose(time_s, picture)
        found += self._decide(time_s)
        while time_s - self._seen[0].time_s > 3 * _AROUND_S and len(self._seen) > 2 * _WINDOW + 2:
            self._seen.popleft()
        return found

    def finish(self) -> list[Cut]:
        """The cuts that are left when no picture follows."""
        if self._seen:
            time_s, picture = self._seen[-1]
            for _ in range(_WINDOW):
                self._propose(time_s, picture)
        return self._decide(float("inf")) + self._faded(self._dissolves.finish())

    def _faded(self, found: list[Dissolve]) -> list[Cut]:
        """The dissolves that no hard cut lies in."""
        last = self._last.time_s if self._last else float("-inf")
        return [Cut(each.end_s, each.start_s, each.change) for each in found if last < each.start_s]

    def _start(self) -> None:
        from scenedetect import AdaptiveDetector

        self._detector = AdaptiveDetector(
            adaptive_threshold=3.0, min_content_val=_PROPOSED, window_width=_WINDOW, min_scene_len=1
        )
        self._times: list[float] = []
        self._base = 0
        self._dissolves = DissolveFinder()

    def _propose(self, time_s: float, picture: Image) -> None:
        import numpy as np
        from scenedetect import FrameTimecode

        number = self._base + len(self._times)
        self._times.append(time_s)
        found = self._detector.process_frame(FrameTimecode(number, 1.0), np.ascontiguousarray(picture[..., ::-1]))
        for timecode in found:
            at = timecode.frame_num - self._base
            if 0 < at < len(self._times) and self._times[at - 1] < self._times[at]:
                self._waiting.append(Cut(self._times[at], self._times[at - 1], 0.0))
        if len(self._times) > 64:
            self._times, self._base = self._times[32:], self._base + 32

    def _decide(self, now_s: float) -> list[Cut]:
        found = []
        while self._waiting and now_s - self._waiting[0].time_s >= _AROUND_S:
            cut = self._judged(self._waiting.pop(0))
            if cut and (self._last is None or cut.time_s - self._last.time_s > _AROUND_S / 2):
                found.append(cut)
                self._last = cut
        return found

    def _judged(self, cut: Cut) -> Cut | None:
        before = [seen.picture for seen in self._seen if cut.time_s - _AROUND_S <= seen.time_s < cut.time_s]
        after = [seen.picture for seen in self._seen if cut.time_s <= seen.time_s <= cut.time_s + _AROUND_S]
        if not before:
            before = [seen.picture for seen in self._seen if seen.time_s == cut.before_s]
        if not before or not after:
            return None
        step = change(before[-1], after[0])
        later, earlier = change(before[-1], after[-1]), change(before[0], after[0])
        apart = min(later, earlier)
        if (
            step < LEAST
            or max(later, earlier) > _RISING * step
            or apart < ALIKE * step
            or changed_share(before[-1], after[0]) < _CHANGED_SHARE
            or same_structure(before[-1], after[0])
            or same_structure(before[0], after[-1])
            or shifted(before[-1], after[0])
        ):
            return None
        return Cut(cut.time_s, cut.before_s, round(step, 2))
