"""Whether the camera stands still, with proof: cells of the picture stay put, picture against picture over a second,
and what little they drift is summed up.

A cell's place is told by how much worse it fits when it is shifted by two pixels to either side. That holds for coarse
structure too, where corners would be lost, and bears noise, changes of light and what codecs do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

CELL = 20
"""Pixels of a cell's side, about."""
_SHIFT = 2
_INFORMATIVE = 1.0
"""Least energy (levels squared, a pixel) of the difference that a shift makes: less structure tells no place."""
_NOISE = 1.5
_STAYS = 0.5
"""Pixels of 256: what a cell that stays put may seem to move."""
_UNCHANGED = 3.0
"""Levels by which a cell without structure may change in the mean."""
LOOK_S = 0.25
"""Seconds between the looks at a picture."""
ANCHOR_S = 1.0
"""A picture is compared with those of the next second; then another one is."""
_LEAST_CELLS = 6
_SHARE = 0.5
_WHOLE_SHARE = 0.6
"""Of the telling cells at the border, or of all, so many must stay put. Of a camera that moves hardly any do."""
_RESTING_SHARE, _RESTING_CELLS = 0.2, 8
"""So many, in both directions and in two quarters of the picture, are enough to tell things from the background where
they hide the rest."""
_PLAIN = 0.6
"""Of the cells at the border so many must be without structure, and stay as they are, before a plain background."""

State = Literal["still", "resting", "plain", "unknown"]


_ORDER: tuple[State, ...] = ("still", "resting", "plain", "unknown")


@dataclass(frozen=True, slots=True)
class Hold:
    """What is known of the camera from the picture `first` to the picture `last`.

    `still`: it stands, by `share` of the `cells` that can tell; `resting`: so many stay that what moves before them are
    things, which hide most of the others; `plain`: what moves does so before a background without
    structure, and a camera that stands cannot be told from one that moves; `unknown`: it moves, or nothing shows that
    it does not. `shift` is how far the picture drifted in that time, in pixels.
    """

    first: int
    last: int
    state: State
    share: float
    cells: int
    shift: tuple[float, float]
    staying: float = 0.0
    """The least share, over its looks, of the cells that can tell and stay put in both directions: hardly any do where
    the camera moves."""
    bridged: bool = False
    """Whether its first picture lies as the first one of the last `still` hold before it."""
    bridge: tuple[float, float] = (0.0, 0.0)
    """How far it drifted since that one."""


class Steadiness:
    """Is shown the pictures of a burst (grey, blurred by nobody yet) with their times, and tells its holds."""

    def __init__(self) -> None:
        self._anchor: _Anchor | None = None
        self._first = 0
        self._first_s = self._last_s = 0.0
        self._looks: list[_Look] = []
        self._stood: _Anchor | None = None  # of the last still hold
        self._bridge: _Look | None = None

    def see(self, number: int, time_s: float, grey: Image) -> Iterator[Hold]:
        """The hold that ends with this picture, if one does."""
        if self._anchor is None:
            self._begin(number, time_s, grey)
        elif time_s - self._last_s >= LOOK_S - 1e-3:
            self._looks.append(self._anchor.look(grey))
            self._last_s = time_s
            if time_s - self._first_s >= ANCHOR_S - LOOK_S / 2:
                yield self._hold(number)
                self._begin(number, time_s, grey)

    def end(self, number: int, grey: Image | None) -> Iterator[Hold]:
        """The last hold; `number` is that of the last picture."""
        if self._anchor is not None and grey is not None and number > self._first:
            self._looks.append(self._anchor.look(grey))
            yield self._hold(number)

    def _begin(self, number: int, time_s: float, grey: Image) -> None:
        self._bridge = self._stood.look(grey) if self._stood else None
        self._anchor, self._looks = _Anchor(grey), []
        self._first, self._first_s, self._last_s = number, time_s, time_s

    def _hold(self, last: int) -> Hold:
        """By the middle one of the looks: what passes before the camera hides the background for a moment only."""
        looks = sorted(self._looks, key=lambda look: (_ORDER.index(look.state), -look.share))
        middle = looks[len(looks) // 2]
        share = min(look.share for look in looks[: len(looks) // 2 + 1])
        if middle.state == "still":
            self._stood = self._anchor
        bridge = self._bridge if self._bridge and self._bridge.state == "still" else None
        return Hold(
            self._first,
            last,
            middle.state,
            round(float(share), 3),
            middle.cells,
            self._looks[-1].shift,
            round(min(look.staying for look in self._looks), 3),
            bridge is not None,
            bridge.shift if bridge else (0.0, 0.0),
        )


@dataclass(frozen=True, slots=True)
class _Look:
    state: State
    share: float
    cells: int
    shift: tuple[float, float]
    staying: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A blurred picture, and mean and variance of each of its cells."""

    picture: Floats
    mean: Floats
    spread: Floats


class _Anchor:
    """A picture that later ones are compared with."""

    def __init__(self, grey: Image) -> None:
        import numpy as np

        height, width = grey.shape
        self._size = (max(3, round(width / CELL)), max(3, round(height / CELL)))
        picture = _blurred(grey)
        self._here = self._seen(picture)
        self._shifted = [self._seen(_shifted(picture, *by)) for by in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        energies = [self._energy(shifted, self._here) for shifted in self._shifted]
        self._texture = (np.minimum(*energies[:2]), np.minimum(*energies[2:]))
        self._border = np.ones(self._here.mean.shape, dtype=np.bool_)
        self._border[1:-1, 1:-1] = False

    def look(self, grey: Image) -> _Look:
        """How a later picture lies to this one."""
        import numpy as np

        later = self._seen(_blurred(grey))
        unmoved = self._energy(self._here, later)
        moved = [self._energy(shifted, later) for shifted in self._shifted]
        telling, staying, offsets = [], [], []
        for texture, before, after in zip(self._texture, moved[::2], moved[1::2], strict=True):
            curve = before + after - 2 * unmoved
            offset = np.where(curve > 1e-6, _SHIFT * (after - before) / (2 * np.maximum(curve, 1e-6)), 9.0)
            tells = texture > _INFORMATIVE
            fits = (curve > 0.35 * texture) & (unmoved < 0.5 * texture + _NOISE)
            telling.append(tells)
            staying.append(tells & fits & (np.abs(offset) < _STAYS))
            offsets.append(offset)
        shift = tuple(
            round(float(-np.median(offset[stays])), 3) if stays.any() else 0.0
            for offset, stays in zip(offsets, staying, strict=True)
        )
        state, share, cells = self._state(telling, staying, later)
        both = telling[0] & telling[1]
        stay = float((both & staying[0] & staying[1]).sum()) / max(1, int(both.sum()))
        return _Look(state, share, cells, (shift[0], shift[1]), stay)

    def _state(self, telling: list[Mask], staying: list[Mask], later: _Seen) -> tuple[State, float, int]:
        import numpy as np

        best = 0.0
        for cells, least in ((self._border, _SHARE), (np.ones_like(self._border), _WHOLE_SHARE)):
            counts = [int((tells & cells).sum()) for tells in telling]
            shares = [
                float((stays & cells).sum()) / max(1, count) for stays, count in zip(staying, counts, strict=True)
            ]
            if min(counts) >= _LEAST_CELLS and min(shares) >= least:
                return "still", min(shares), min(counts)
            best = max(best, min(shares))
        blank = ~telling[0] & ~telling[1] & (np.abs(later.mean - self._here.mean) < _UNCHANGED)
        stays = (telling[0] | telling[1]) & (staying[0] | ~telling[0]) & (staying[1] | ~telling[1])
        plain = float((blank & self._border).sum()) / self._border.sum()
        astray = ~blank & ~stays & self._border
        if plain >= _PLAIN and astray.sum() <= (1 - _PLAIN) * self._border.sum():
            return "plain", plain, int(blank.sum())
        both = telling[0] & telling[1]
        stay = both & staying[0] & staying[1]
        rows, columns = (side // 2 for side in stay.shape)
        quarters = [stay[:rows, :columns], stay[:rows, columns:], stay[rows:, :columns], stay[rows:, columns:]]
        count, share = int(stay.sum()), float(stay.sum()) / max(1, int(both.sum()))
        spread = sum(int(quarter.sum()) >= _RESTING_CELLS // 4 for quarter in quarters)
        if count >= _RESTING_CELLS and share >= _RESTING_SHARE and spread > 1:
            return "resting", share, int(both.sum())
        return "unknown", best, int(both.sum())

    def _seen(self, picture: Floats) -> _Seen:
        mean = self._cells(picture)
        return _Seen(picture, mean, self._cells(picture * picture) - mean * mean)

    def _energy(self, here: _Seen, there: _Seen) -> Floats:
        """What is left of `there` when it is told by `here`, made brighter or darker as a whole: levels squared."""
        import numpy as np

        together = self._cells(here.picture * there.picture) - here.mean * there.mean
        gain = np.clip(together / np.maximum(here.spread, 0.05), 0.3, 3.0)
        left = there.spread - 2 * gain * together + gain * gain * here.spread
        return np.asarray(np.maximum(left, 0), dtype=np.float32)

    def _cells(self, picture: Floats) -> Floats:
        import cv2
        import numpy as np

        return np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _blurred(grey: Image) -> Floats:
    import cv2
    import numpy as np

    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), dtype=np.float32)


def _shifted(picture: Floats, across: int, down: int) -> Floats:
    """The picture moved by two pixels."""
    import numpy as np

    padded = np.pad(picture, _SHIFT, mode="edge")
    height, width = picture.shape
    top, left = _SHIFT * (1 - down), _SHIFT * (1 - across)
    return np.ascontiguousarray(padded[top : top + height, left : left + width])
