"""Lines that come back just as they were: a caption or a logo that stands in the same place after a cut, over another
picture, is not read again once it was read the same a few times.

Letters are told from what is behind them by how much of each pixel they cover. Two lines are one where no pixel is
covered otherwise. That holds over soft pictures; over rough ones nothing can be said, and the line is read.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hardcut.synth.evidence.tracks import Reading, Rect, likeness

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Grey = NDArray[np.uint8]
    Floats = NDArray[np.float32]

_KEPT = 32
"""Lines that are remembered."""
_SURE, _LETTERS = 0.95, 3
"""Least confidence and letters of a reading that is worth it."""
_TIMES = 3
"""So often it must have been read the same, one time after the other: a single reading may lack a dot."""
_HEIGHT = 16
"""Least height in pixels of a line: a comma of smaller ones cannot be told from a full stop."""
_CONTRAST = 40.0
"""Least difference (0..255) of letters and what is behind them."""
_AROUND = 0.25
"""So much of a line's height beside it must be the same too: there nothing was added."""
_SAME_BOX = 0.8
"""Least likeness (intersection over union) of the boxes."""
_OTHERWISE = 0.4
"""Share of a pixel. Of lines of 16 pixels and more that differ by a letter, a figure or a mark, some pixel differs by
.73 and more; of the same line over two soft pictures, each by .38 at most, mostly by .2."""
_INK = 0.8
"""Letters cover a pixel so far, in each piece of a line that is as long as the line is high."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Where a line stood (pixels: left, top, right, bottom), with what is around it, how far letters cover each pixel
    there, whether they are dark, what was read, and how often."""

    place: tuple[int, int, int, int]
    covered: Floats
    dark: bool
    reading: Reading
    times: int = 1


class KnownLines:
    """The surest lines of one video that were read last."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque(maxlen=_KEPT)

    def find(self, grey: Grey, box: Rect) -> Reading | None:
        """What was read more than once where letters covered just these pixels. `grey`: height x width, `box`: where a
        line is now."""
        seen = self._like(grey, box)
        return seen.reading if seen is not None and seen.times >= _TIMES else None

    def add(self, grey: Grey, reading: Reading) -> None:
        """Remembers a line that was read in a picture, if it can be known again."""
        seen = self._like(grey, reading.box)
        if seen is not None:
            self._seen.remove(seen)
        if reading.confidence < _SURE or sum(map(str.isalnum, reading.text)) < _LETTERS:
            return
        if seen is not None and (seen.reading.text, seen.reading.reader) == (reading.text, reading.reader):
            self._seen.appendleft(replace(seen, times=seen.times + 1))
            return
        height, width = grey.shape
        left, top, right, bottom = reading.box
        around = _AROUND * (bottom - top) * height
        place = (
            max(0, int(left * width - around)),
            max(0, int(top * height - around)),
            min(width, int(right * width + around) + 1),
            min(height, int(bottom * height + around) + 1),
        )
        dark = _is_dark(grey[place[1] : place[3], place[0] : place[2]], max(1, int(around)))
        covered = _covered(grey, place, reading.box, dark)
        if covered is not None:
            self._seen.appendleft(_Seen(place, covered, dark, reading))

    def _like(self, grey: Grey, box: Rect) -> _Seen | None:
        import numpy as np

        height, width = grey.shape
        for seen in self._seen:
            left, top, right, bottom = seen.place
            inside = left <= box[0] * width and top <= box[1] * height and box[2] * width <= right
            if not inside or box[3] * height > bottom or likeness(seen.reading.box, box) < _SAME_BOX:
                continue
            covered = _covered(grey, seen.place, seen.reading.box, seen.dark)
            if covered is not None and float(np.abs(covered - seen.covered).max()) < _OTHERWISE:
                return seen
        return None


def _is_dark(part: Grey, rim: int) -> bool:
    """Whether letters are darker than what is around them."""
    import numpy as np

    edges = np.concatenate([part[:rim].ravel(), part[-rim:].ravel(), part[:, :rim].ravel(), part[:, -rim:].ravel()])
    middle, low, high = np.median(edges), np.quantile(part, 0.03), np.quantile(part, 0.97)
    return bool(middle - low > high - middle)


def _covered(grey: Grey, place: tuple[int, int, int, int], box: Rect, dark: bool) -> Floats | None:
    """How far letters cover each pixel of a place, 0..1; None where that cannot be told: the line of the `box` is too
    small or too faint, or not all of it is of one brightness."""
    import cv2
    import numpy as np

    left, top, right, bottom = place
    high = (box[3] - box[1]) * grey.shape[0]
    if high < _HEIGHT:
        return None
    part = grey[top:bottom, left:right].astype(np.float32)
    part = 255 - part if dark else part
    ink = float(np.quantile(part, 0.98))
    side = 2 * round(0.15 * high) + 1
    behind = cv2.morphologyEx(part, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    letters = ((part > (behind + ink) / 2) & (part > ink - _CONTRAST)).astype(np.uint8)
    free = (cv2.dilate(letters, np.ones((5, 5), np.uint8)) == 0).astype(np.float32)
    near = cv2.GaussianBlur(free, (0, 0), high / 5)
    behind = cv2.GaussianBlur(part * free, (0, 0), high / 5) / np.maximum(near, 1e-3)
    if ink - float(np.median(behind)) < _CONTRAST:
        return None
    covered = ((part - behind) / np.maximum(ink - behind, _CONTRAST / 2)).clip(0, 1)
    first, last = round(box[0] * grey.shape[1]) - left, round(box[2] * grey.shape[1]) - left
    pieces = np.array_split(covered[:, first:last], max(1, int((last - first) / high)), axis=1)
    return np.asarray(covered, dtype=np.float32) if min(float(each.max()) for each in pieces) >= _INK else None
