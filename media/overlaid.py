"""What lies over one of two copies: a logo in a corner, or subtitles burnt in."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hardcut.media.altered import SIDE, Levels

_CLEARLY, _DIFFERENT = 18.0, 9.0
"""Levels by which a cell differs that something lies over, and those beside it."""
_CORNER = 0.36
_LOGO_AREA, _TEXT_AREA = 0.07, 0.25
_TEXT_FROM = 0.62
"""Subtitles lie below this share of the height, and a logo within `_CORNER` of two edges."""
_CENTRED = 0.1
"""How far from the middle subtitles may be centred, as a share of the width."""
_MARGIN = 2
"""Cells around."""
_BUSIER = 1.15
"""The one that a logo lies over has so much more detail there."""


class Overlay(NamedTuple):
    """What it is, and the cells (48 x 48) that it may touch."""

    change: Literal["logo", "subtitles"]
    cells: NDArray[np.bool_]


def overlay(one: Levels, other: Levels, details: Levels) -> Overlay | None:
    """What lies over one of two films, by where they differ. `one` and `other` are brightnesses of the same moments,
    shape (frames, 48, 48), `details` by how much each cell differs for two frames."""
    from scipy.ndimage import binary_propagation

    most = details.max(axis=0)
    cells = binary_propagation(most > _CLEARLY, np.ones((3, 3), dtype=bool), most > _DIFFERENT)
    if not cells.any():
        return None
    rows, columns = (np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    change = _kind(top / SIDE, bottom / SIDE, left / SIDE, right / SIDE, float(cells.mean()))
    if change is None:
        return None
    touched = np.zeros_like(cells)
    touched[max(0, top - _MARGIN) : bottom + _MARGIN, max(0, left - _MARGIN) : right + _MARGIN] = True
    busy = sorted(_detail(luma, cells) for luma in (one, other))
    if change == "logo" and busy[1] < _BUSIER * busy[0]:
        return None
    return Overlay(change, touched)


def _kind(top: float, bottom: float, left: float, right: float, area: float) -> Literal["logo", "subtitles"] | None:
    at_side = right <= _CORNER or left >= 1 - _CORNER
    at_end = bottom <= _CORNER or top >= 1 - _CORNER
    if at_side and at_end and area <= _LOGO_AREA:
        return "logo"
    if top >= _TEXT_FROM and area <= _TEXT_AREA and abs((left + right) / 2 - 0.5) <= _CENTRED:
        return "subtitles"
    return None


def _detail(luma: Levels, cells: NDArray[np.bool_]) -> float:
    """Mean difference of neighbouring cells there."""
    across = np.abs(np.diff(luma, axis=2))[:, :-1]
    down = np.abs(np.diff(luma, axis=1))[:, :, :-1]
    return float((across + down)[:, cells[:-1, :-1]].mean())
