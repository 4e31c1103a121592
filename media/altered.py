"""What may have been done to a copy's pictures, and how to undo it on thumbnails: bars round the picture, a crop, left
and right exchanged. Pure functions of thumbnails, shape (frames, 48, 48, 3) in levels 0 to 255."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float32]
SIDE = 48
_BAR_LEVELS = 5.0
"""A row is part of a bar where its levels, over its length and over time, differ by this standard deviation at most."""
_BAR_STEP = 6.0
"""Levels by which the picture differs from the bar at its edge."""
_BAR_MOST = 0.3
"""A bar takes at most this part of a side."""
LEAST_BAR = 1.5 / SIDE


_FRAMES = 8
"""Frames of each altered way that meet those of other videos."""


class Window(NamedTuple):
    """A part of a picture, as shares of its width and height from the upper left corner."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


WHOLE = Window()
CROPS = (
    Window(0.05, 0.05, 0.95, 0.95),
    Window(0.1, 0.1, 0.9, 0.9),
    *(Window(left, top, left + 0.9, top + 0.9) for left in (0.0, 0.1) for top in (0.0, 0.1)),
)
"""The crops by which videos meet. What lies between them meets too: hashes bear a twentieth more or less."""


def through(tiles: Levels, window: Window) -> Levels:
    """What a window shows, as thumbnails again (each cell the mean of what it covers)."""
    if window == WHOLE:
        return tiles
    down, across = _weights(window.top, window.bottom), _weights(window.left, window.right)
    return np.asarray(np.einsum("ry,fyxc,sx->frsc", down, tiles, across, optimize=True), dtype=np.float32)


def mirrored(tiles: Levels) -> Levels:
    """Left and right exchanged."""
    return tiles[:, :, ::-1]


def picture_in_bars(tiles: Levels) -> Window:
    """The picture between bars of one colour that stay: above and below, or at both sides. The whole, if there are
    none."""
    top, bottom = _bars(tiles)
    left, right = _bars(tiles.swapaxes(1, 2))
    return Window(left, top, 1 - right, 1 - bottom)


def altered_hashes(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The pHashes of some frames as they are without bars (where there are any), mirrored, and in each of `CROPS`:
    shape (ways, frames)."""
    some = thumbnails[np.unique(np.linspace(0, len(thumbnails) - 1, _FRAMES).round().astype(int))].astype(np.float32)
    window = picture_in_bars(thumbnails.astype(np.float32))
    inner = through(some, window)
    found = [] if window == WHOLE else [hashes(inner)]
    return np.stack([*found, hashes(mirrored(inner)), *(hashes(through(inner, crop)) for crop in CROPS)])


def hashes(tiles: Levels) -> NDArray[np.uint64]:
    """pHashes of 64 bits, as imagehash makes them of a whole picture (a bit or two apart)."""
    import cv2
    from scipy.fft import dct

    luma = tiles @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    small = np.stack([cv2.resize(each, (32, 32), interpolation=cv2.INTER_AREA) for each in luma])
    low = dct(dct(small, axis=1), axis=2)[:, :8, :8].reshape(len(tiles), 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel()


@lru_cache(maxsize=256)
def _weights(start: float, end: float) -> Levels:
    """Rows of a matrix that takes the stretch from `start` to `end` of a side of 48 cells to 48 cells."""
    edges = SIDE * np.linspace(start, end, SIDE + 1)
    low, high = edges[:-1], edges[1:]
    middle = (low + high) / 2 - 0.5
    cells = np.arange(SIDE)
    shown = np.maximum(0, 1 - np.abs(middle[:, None] - cells))  # between the two nearest: smoother than whole cells
    return np.asarray(shown / shown.sum(axis=1, keepdims=True), dtype=np.float32)


def _bars(tiles: Levels) -> tuple[float, float]:
    """The shares of the bars before and after, along the second axis; no bar, if either side has none or the two are
    not of one colour. The cell at a bar's edge shows some of both and counts as bar."""
    flat = tiles.std(axis=(0, 2)).max(axis=1) <= _BAR_LEVELS
    means = tiles.mean(axis=(0, 2))
    colour = (means[0] + means[-1]) / 2
    bar = flat & (np.abs(means - colour).max(axis=1) <= _BAR_LEVELS)
    sizes = []
    for side in (slice(None), slice(None, None, -1)):
        size = int(np.argmin(bar[side])) if not bar.all() else SIDE
        beyond = np.abs(tiles[:, side][:, size : size + 2] - colour).mean() if size < SIDE else 0.0
        if not 1 <= size <= _BAR_MOST * SIDE or beyond < _BAR_STEP:
            return 0.0, 0.0
        sizes.append((size + 1) / SIDE)
    return sizes[0], sizes[1]
