"""Whether the camera stands still, with proof: cells of the picture stay put, picture against picture over a second,
and what little they drift is summed up.

A cell's place is told by how much worse it fits when it is shifted by two pixels to either side. That holds for coarse
structure too, where corners would be lost, and bears noise, changes of light and what codecs do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        self._stood: _Anchor | None = None
        """Of the last still hold."""
        self._bridge: _Look | None = None

    def see(self, number: int, time_s: float, grey: Image) -> Iterator[Hold]:
        """The hold that ends with this picture, if one does."""
        if self._anchor is None:
            self._begin(number, time_s, _seen(grey))
        elif time_s - self._last_s >= LOOK_S - 1e-3:
            seen = _seen(grey)
            self._looks.append(self._anchor.look(seen))
            self._last_s = time_s
            if time_s - self._first_s >= ANCHOR_S - LOOK_S / 2:
                yield self._hold(number)
                self._begin(number, time_s, seen)

    def end(self, number: int, grey: Image | None) -> Iterator[Hold]:
        """The last hold; `number` is that of the last picture."""
        if self._anchor is not None and grey is not None and number > self._first:
            self._looks.append(self._anchor.look(_seen(grey)))
            yield self._hold(number)

    def _begin(self, number: int, time_s: float, seen: _Seen) -> None:
        self._bridge = self._stood.look(seen) if self._stood else None
        self._anchor, self._looks = _Anchor(seen), []
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
    """A blurred picture, and mean and variance of each of its cells: rows x columns x 1."""

    picture: Floats
    mean: Floats
    spread: Floats


class _Anchor:
    """A picture that later ones are compared with."""

    def __init__(self, seen: _Seen) -> None:
        import numpy as np

        self._here = seen
        self._pictures = (seen.picture, *_shifted(seen.picture))
        means = _cells(self._pictures, seen.picture.shape)
        self._mean = means
        self._spread = _cells([picture * picture for picture in self._pictures], seen.picture.shape) - means * means
        _, *energies = self._energies(seen)
        self._texture = (np.minimum(*energies[:2]), np.minimum(*energies[2:]))
        self._border = np.ones(means.shape[:2], dtype=np.bool_)
        self._border[1:-1, 1:-1] = False

    def look(self, later: _Seen) -> _Look:
        """How a later picture lies to this one."""
        import numpy as np

        unmoved, *moved = self._energies(later)
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
        blank = ~telling[0] & ~telling[1] & (np.abs(later.mean - self._here.mean)[..., 0] < _UNCHANGED)
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

    def _energies(self, there: _Seen) -> list[Floats]:
        """What is left of `there` when it is told by this picture and by each of the shifted ones, made brighter or
        darker as a whole: levels squared, rows x columns each."""
        import numpy as np

        products = [picture * there.picture for picture in self._pictures]
        together = _cells(products, there.picture.shape) - self._mean * there.mean
        gain = np.clip(together / np.maximum(self._spread, 0.05), 0.3, 3.0)
        left = np.maximum(there.spread - 2 * gain * together + gain * gain * self._spread, 0)
        return [np.ascontiguousarray(left[..., number]) for number in range(left.shape[-1])]


def _seen(grey: Image) -> _Seen:
    import cv2
    import numpy as np

    picture = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0), dtype=np.float32)
    both = _cells([picture, picture * picture], picture.shape)
    mean = both[..., :1]
    return _Seen(picture, mean, both[..., 1:] - mean * mean)


def _cells(pictures: Sequence[Floats], shape: Sequence[int]) -> Floats:
    """The mean of each cell of some pictures of one size: rows x columns x pictures. OpenCV does up to four channels at
    once, hardly slower than one of them."""
    import cv2
    import numpy as np

    height, width = shape
    size = (max(3, round(width / CELL)), max(3, round(height / CELL)))
    found = [
        cv2.resize(cv2.merge(list(pictures[at : at + 4])), size, interpolation=cv2.INTER_AREA)
        for at in range(0, len(pictures), 4)
    ]
    return np.asarray(np.dstack(found), dtype=np.float32)


def _shifted(picture: Floats) -> list[Floats]:
    """The picture moved by two pixels to the left and right, up and down."""
    import cv2
    import numpy as np

    height, width = picture.shape
    padded = cv2.copyMakeBorder(picture, _SHIFT, _SHIFT, _SHIFT, _SHIFT, cv2.BORDER_REPLICATE)
    corners = [(_SHIFT * (1 - down), _SHIFT * (1 - across)) for across, down in ((-1, 0), (1, 0), (0, -1), (0, 1))]
    return [np.ascontiguousarray(padded[top : top + height, left : left + width]) for top, left in corners]
