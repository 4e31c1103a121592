"""Regions that move against what is around them, over one window of time; each with the proof that movement is what
changed the picture there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hardcut.synth.evidence.colours import colour_shares
from hardcut.synth.evidence.flow import GRID, Background, lengths
from hardcut.synth.evidence.tracks import Rect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

SMALLEST = 0.0012
"""Smaller regions, as fractions of the picture, are noise."""
_ALIKE = 0.35
"""Neighbouring points belong together where their displacements differ by at most this share of them, and half a
pixel."""
_CHANGED = 10.0
"""Least distance in CIELAB of a pixel that changed."""
_TELLING_PIXELS = 8
_OWN_PIXELS = 12
_OWN_COLOURS = 0.1
_PLAIN = 4.0
"""Standard deviation in CIELAB of a background without structure."""
_ROW = 1024
_FAR = 0.75


@dataclass(frozen=True, slots=True)
class Region:
    """What moves together from the picture `first` to the picture `last`.

    `mask` are its grid points in the first picture, `starts` and `ends` their places (pixels), `moved` is its mean
    displacement against the background and `camera` that of the background there. `explained`: how much of the change
    in its place is gone if one follows the movement (1: all of it; 0 and below: it is not movement that changed the
    picture), over `changed` pixels. `extent` is its length along its way, `agreement` how far its points go the same
    way (0..1), `around` how much of its displacement its surroundings share.
    """

    first: int
    last: int
    mask: Mask
    starts: Floats
    ends: Floats
    moved: tuple[float, float]
    camera: tuple[float, float]
    area: float
    extent: float
    agreement: float
    around: float
    explained: float
    changed: int
    colours: tuple[float, ...]
    box: Rect
    end_box: Rect


class Shown(Protocol):
    """A picture, blue first and as CIELAB (`lab`). The second one is only asked for where something moves."""

    @property
    def colour(self) -> Image: ...
    @property
    def lab(self) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Window:
    """What happens over some pictures: the first and last of them, where the grid points go in between, which of these
    ways are sure, and the background's part."""

    first: int
    last: int
    here: Shown
    there: Shown
    points: Floats
    moved: Floats
    sure: Mask
    background: Background


def lab(picture: Image) -> Floats:
    """CIELAB of a slightly blurred picture; lightness 0..100."""
    import cv2
    import numpy as np

    found = cv2.cvtColor(cv2.blur(picture, (3, 3)), cv2.COLOR_BGR2LAB).astype(np.float32)
    found[..., 0] *= 100 / 255
    return np.asarray(found)


def regions(window: Window, least: float, among: Mask | None = None) -> list[Region]:
    """The regions whose points are displaced by at least `least` pixels; only points of `among` count."""
    camera = window.background.displaced(window.points)
    own = window.moved - camera
    length = lengths(own)
    moving = window.sure & (length > least)
    if among is not None:
        moving &= among
    smallest = max(4.0, SMALLEST * moving.size)
    return [_region(window, mask, own, camera) for mask in _together(own, length, moving, smallest)]


def _together(own: Floats, length: Floats, moving: Mask, smallest: float) -> Iterator[Mask]:
    """The sets of neighbouring points that move alike."""
    import numpy as np

    moving = _in_patches(moving, smallest)
    count = int(moving.sum())
    if count < smallest:
        return
    whole, part = moving.shape, _around(moving)
    own, length, moving = own[part], length[part], moving[part]
    numbers = np.full(moving.shape, -1, dtype=np.int32)
    numbers[moving] = np.arange(count, dtype=np.int32)
    rows, columns = moving.shape
    ones, others = [], []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, rows - down), slice(max(0, -across), columns - max(0, across)))
        there = (slice(down, rows), slice(max(0, across), columns - max(0, -across)))
        apart = lengths(own[here] - own[there])
        alike = apart <= 0.5 + _ALIKE * (length[here] + length[there]) / 2
        both = moving[here] & moving[there] & alike
        ones.append(numbers[here][both])
        others.append(numbers[there][both])
    labels = _joined(count, np.concatenate(ones), np.concatenate(others))
    sizes = np.bincount(labels)
    placed = np.full(whole, -1)
    placed[part][moving] = labels
    for label in np.flatnonzero(sizes >= smallest):
        yield placed == label


def _joined(count: int, ones: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.int64]:
    """Which of `count` points hang together by edges from `ones` to `others`: a number for each point, sets in order of
    their first points. (The least number goes from edge to edge and from root to root. scipy's sparse graphs take as
    long to be built as this, and half a second to be loaded.)"""
    import numpy as np

    roots = np.arange(count)
    while True:
        least = np.minimum(roots[ones], roots[others])
        lower = roots.copy()
        for ends in (ones, others):
            np.minimum.at(lower, roots[ends], least)
            np.minimum.at(lower, ends, least)
        lower = lower[lower]
        if (lower == roots).all():
            return np.unique(roots, return_inverse=True)[1]
        roots = lower


def _in_patches(mask: Mask, smallest: float) -> Mask:
    """The points of a mask that have so many others around them: no set of the others can be large enough."""
    import cv2
    import numpy as np

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return np.asarray(mask & (stats[:, cv2.CC_STAT_AREA] >= smallest)[labels])


def _around(mask: Mask) -> tuple[slice, slice]:
    """The smallest part that holds all of a mask that is not empty."""
    import cv2
    import numpy as np

    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _region(window: Window, mask: Mask, own: Floats, camera: Floats) -> Region:
    import cv2
    import numpy as np

    height, width = window.here.colour.shape[:2]
    starts = window.points[mask]
    ends = starts + window.moved[mask]
    ways = own[mask]
    mean = _mean(ways)
    if speed_of := _length(mean):  # an arm or a door turns about one end: what counts is the other one
        along_it = ways @ (mean / speed_of)
        mean = _mean(ways[along_it >= _quantiles(along_it, _FAR)[0]])
    speed = max(_length(mean), 1e-6)
    units = ways / lengths(ways)[:, None]
    along = _quantiles(starts @ (mean / speed), 0.05, 0.95)
    marked = mask.view(np.uint8)
    near, edge = (cv2.dilate(marked, np.ones((side, side), np.uint8)) for side in (7, 3))
    rim = (near > 0) & (edge == 0)
    around = float(_mean(own[rim]) @ mean) / speed**2 if rim.any() else 0.0
    explained, changed, colours, body, where = _proof(window, mask, rim, own, camera)
    if where is None:
        where = starts, ends
    return Region(
        first=window.first,
        last=window.last,
        mask=mask,
        starts=starts,
        ends=ends,
        moved=(float(mean[0]), float(mean[1])),
        camera=(0.0, 0.0) if window.background.still else tuple(_mean(camera[mask]).tolist()),
        area=len(ways) / mask.size * body,
        extent=float(along[1] - along[0]) + GRID,
        agreement=_length(_mean(units)),
        around=around,
        explained=explained,
        changed=changed,
        colours=colours,
        box=_box(where[0], height, width),
        end_box=_box(where[1], height, width),
    )


def _proof(
    window: Window, mask: Mask, rim: Mask, own: Floats, camera: Floats
) -> tuple[float, int, tuple[float, ...], float, tuple[Floats, Floats] | None]:
    """How far movement explains what changed in the region, over how many pixels, the colours of what moves, which part
    of the region it is, for flow drags a plain background along, and where its pixels start and end. `rim` is what lies
    around it."""
    import cv2
    import numpy as np

    height, width = window.here.colour.shape[:2]
    part = _around(mask)
    y0, x0 = part[0].start * GRID, part[1].start * GRID
    size = (part[1].stop * GRID - x0, part[0].stop * GRID - y0)

    def dense(values: Floats) -> Floats:
        fine = cv2.resize(values[part].astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(fine, dtype=np.float32)

    inside = cv2.resize(mask[part].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    down, across = np.nonzero(inside)
    fits = (down + y0 < height) & (across + x0 < width)
    down, across = down[fits], across[fits]
    y, x = down + y0, across + x0
    within, places = down * size[0] + across, y * width + x
    way = _taken(dense(own), within)
    then = _taken(window.here.lab, places)
    if window.background.still:
        stayed = _taken(window.there.lab, places)
    else:
        with_camera = _taken(dense(camera), within)
        stayed = _at(window.there.lab, x + with_camera[:, 0], y + with_camera[:, 1])
        way = way + with_camera
    went = _at(window.there.lab, x + way[:, 0], y + way[:, 1])
    if_stayed, if_went = lengths(then - stayed), lengths(then - went)
    differs = if_stayed > _CHANGED
    changed = int(differs.sum())
    explained = 0.0
    if changed >= _TELLING_PIXELS:
        explained = float(1 - if_went[differs].sum() / if_stayed[differs].sum())
    its_own = differs & (if_went < if_stayed / 2)
    where = None
    if its_own.sum() < _OWN_PIXELS:
        its_own = np.ones_like(differs)
    else:
        starts = np.stack([x[its_own], y[its_own]], axis=-1).astype(np.float32)
        where = starts, starts + way[its_own]
    shares = colour_shares(_taken(window.here.colour, places[its_own]))
    rims = window.points[rim].astype(int)
    around = rims[:, 1] * width + rims[:, 0]
    colours = _distinct(shares, colour_shares(_taken(window.here.colour, around)))
    body = 1.0
    if len(around):
        plain = _taken(window.here.lab, around)
        if float(plain.std(axis=0).max()) < _PLAIN:
            apart = lengths(then - np.median(plain, axis=0)) > _CHANGED
            body = max(float(apart.mean()), 1 / len(then))
    return round(explained, 4), changed, colours, body, where


def _taken(picture: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """The pixels at some places, counted row by row: by two numbers each, numpy takes three times as long."""
    return picture.reshape(-1, picture.shape[-1]).take(places, axis=0)


def _distinct(shares: Floats, around: Floats) -> tuple[float, ...]:
    """A thing's colours, without those of its surroundings: the edge of what moves is never sharp. A thing that has no
    others is of them."""
    own = (shares - around).clip(min=0)
    own = own if own.sum() >= _OWN_COLOURS else shares
    return tuple([round(share, 4) for share in (own / max(float(own.sum()), 1e-6)).tolist()])


def _at(picture: Floats, across: Floats, down: Floats) -> Floats:
    import cv2
    import numpy as np

    rows = -(-len(across) // _ROW)  # OpenCV refuses rows of more than 32,767
    places = np.zeros((2, rows * _ROW), dtype=np.float32)
    places[:, : len(across)] = across, down
    x, y = places.reshape(2, rows, _ROW)
    found = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(rows * _ROW, -1)[: len(across)], dtype=np.float32)


def _mean(rows: Floats) -> Floats:
    """The mean of rows; numpy's own looks for longer what it is given than it takes to add up so few of them."""
    import numpy as np

    return np.asarray(np.add.reduce(rows, axis=0) / len(rows), dtype=np.float32)


def _length(vector: Floats) -> float:
    import numpy as np

    return float(np.sqrt(vector.dot(vector)))


def _quantiles(values: Floats, *shares: float) -> list[float]:
    """As numpy's own, which takes twenty times as long over so few values."""
    import numpy as np

    ordered = np.sort(values)
    found = []
    for share in shares:
        place = (len(ordered) - 1) * share
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        found.append(float(ordered[below] + (ordered[above] - ordered[below]) * (place - below)))
    return found


def _box(points: Floats, height: int, width: int) -> Rect:
    half = GRID / 2
    across, down = points[:, 0], points[:, 1]
    left, right = float(across.min() - half) / width, float(across.max() + half) / width
    top, bottom = float(down.min() - half) / height, float(down.max() + half) / height
    return _share(left), _share(top), _share(right), _share(bottom)


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 4)
