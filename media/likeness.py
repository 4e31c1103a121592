"""How two small pictures are alike: what cuts and dissolves are told by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

ALIKE = 0.5
"""Pictures that differ by less than this share of a change show the same."""
_CELL = 8
_CHANGED_LEVELS = 8.0
"""Of the cells of 8 x 8 pixels those have changed that differ by 8 levels in a channel."""
_TELLING = 3.0
"""Least standard deviation of a cell's brightness whose structure is compared."""
_SAME_STRUCTURE = 0.6
_SAME_TINT = 0.06
"""Cells whose brightness runs alike show the same if the shares of red, green and blue differ by less than this."""
_SHIFTED = 0.25
"""Response of phase correlation from which on one picture is the other one, shifted."""


def change(one: Image, other: Image) -> float:
    """Levels (0..255) by which pictures differ: the mean over the pixels of the channel that differs most. Hues are
    left aside: in a dark picture they say nothing."""
    import numpy as np

    return float(np.abs(one.astype(np.int16) - other).max(axis=2).mean())


def _cells(values: Floats) -> Floats:
    """The mean of each cell; what does not fill one at the right and bottom edge is left out."""
    import numpy as np

    rows, columns = max(1, values.shape[0] // _CELL), max(1, values.shape[1] // _CELL)
    high, wide = min(_CELL, values.shape[0]), min(_CELL, values.shape[1])
    part = values[: rows * high, : columns * wide]
    return np.asarray(part.reshape(rows, high, columns, wide, *values.shape[2:]).mean(axis=(1, 3)), dtype=np.float32)


def changed_share(one: Image, other: Image) -> float:
    """The share of cells that differ."""
    import numpy as np

    apart = np.abs(_cells(one.astype(np.float32)) - _cells(other.astype(np.float32))).max(axis=2)
    return float((apart > _CHANGED_LEVELS).mean())


def same_structure(one: Image, other: Image) -> bool:
    """Whether most cells show the same but for brightness and contrast."""
    import numpy as np

    first, second = (picture.astype(np.float32).mean(axis=2) for picture in (one, other))
    means = _cells(first), _cells(second)
    spread = [
        np.sqrt(np.maximum(_cells(grey**2) - mean**2, 0)) for grey, mean in zip((first, second), means, strict=True)
    ]
    telling = (spread[0] > _TELLING) & (spread[1] > _TELLING)
    if telling.sum() < 0.15 * telling.size:
        return False
    together = _cells(first * second) - means[0] * means[1]
    alike = together[telling] / (spread[0] * spread[1])[telling]
    tints = [
        cells / np.maximum(cells.sum(axis=2, keepdims=True), 1)
        for cells in (_cells(one.astype(np.float32)), _cells(other.astype(np.float32)))
    ]
    lit = telling & (np.minimum(*means) > 16)
    recoloured = float(np.abs(tints[0] - tints[1]).max(axis=2)[lit].mean()) if lit.any() else 0.0
    return bool(np.median(alike) > _SAME_STRUCTURE) and recoloured < _SAME_TINT


def shifted(one: Image, other: Image) -> bool:
    """Whether one picture is the other one, moved as a whole."""
    import cv2
    import numpy as np

    first, second = (picture.astype(np.float32).mean(axis=2) for picture in (one, other))
    height, width = first.shape
    if min(height, width) < 2 * _CELL:
        return False
    (across, down), response = cv2.phaseCorrelate(first, second, cv2.createHanningWindow((width, height), cv2.CV_32F))
    dx, dy = round(across), round(down)
    if response < _SHIFTED or not (dx or dy) or 2 * abs(dx) > width or 2 * abs(dy) > height:
        return False
    here = second[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
    there = first[max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)]
    return bool(np.abs(here - there).mean() < ALIKE * np.abs(first - second).mean())
