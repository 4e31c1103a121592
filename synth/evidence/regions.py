"""Regions that move against what is around them, over one window of time; each with the proof that movement is what
changed the picture there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardcut.synth.evidence.colours import colour_shares
from hardcut.synth.evidence.flow import GRID, Background
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


@dataclass(frozen=True, slots=True)
class Window:
    """What happens over some pictures: the first and last of them (blue first, and as CIELAB), where the grid points go
    in between, which of these ways are sure, and the background's part."""

    first: int
    last: int
    picture: Image
    before: Floats
    after: Floats
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
    import numpy as np

    camera = window.background.displaced(window.points)
    own = window.moved - camera
    length = np.linalg.norm(own, axis=-1)
    moving = window.sure & (length > least)
    if among is not None:
        moving &= among
    smallest = max(4.0, SMALLEST * moving.size)
    return [_region(window, mask, own, camera) for mask in _together(own, length, moving, smallest)]


def _together(own: Floats, length: Floats, moving: Mask, smallest: float) -> Iterator[Mask]:
    """The sets of neighbouring points that move alike."""
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = int(moving.sum())
    if count < smallest:
        return
    numbers = np.full(moving.shape, -1)
    numbers[moving] = np.arange(count)
    rows, columns = moving.shape
    ones, others = [], []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, rows - down), slice(max(0, -across), columns - max(0, across)))
        there = (slice(down, rows), slice(max(0, across), columns - max(0, -across)))
        apart = np.linalg.norm(own[here] - own[there], axis=-1)
        alike = apart <= 0.5 + _ALIKE * (length[here] + length[there]) / 2
        both = moving[here] & moving[there] & alike
        ones.append(numbers[here][both])
        others.append(numbers[there][both])
    first, second = np.concatenate(ones), np.concatenate(others)
    edges = coo_matrix((np.ones(len(first), dtype=np.int8), (first, second)), shape=(count, count))
    _, labels = connected_components(edges, directed=False)
    sizes = np.bincount(labels)
    placed = np.full(moving.shape, -1)
    placed[moving] = labels
    for label in np.flatnonzero(sizes >= smallest):
        yield placed == label


def _region(window: Window, mask: Mask, own: Floats, camera: Floats) -> Region:
    import cv2
    import numpy as np

    height, width = window.picture.shape[:2]
    starts = window.points[mask]
    ends = starts + window.moved[mask]
    mean = own[mask].mean(axis=0)
    if speed_of := float(np.linalg.norm(mean)):  # an arm or a door turns about one end: what counts is the other one
        along_it = own[mask] @ (mean / speed_of)
        mean = own[mask][along_it >= np.quantile(along_it, _FAR)].mean(axis=0)
    speed = max(float(np.linalg.norm(mean)), 1e-6)
    units = own[mask] / np.linalg.norm(own[mask], axis=-1, keepdims=True)
    along = starts @ (mean / speed)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    rim = near & (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    around = float(own[rim].mean(axis=0) @ mean) / speed**2 if rim.any() else 0.0
    explained, changed, colours, body, where = _proof(window, mask, own, camera)
    if where is None:
        where = starts, ends
    return Region(
        first=window.first,
        last=window.last,
        mask=mask,
        starts=starts,
        ends=ends,
        moved=(float(mean[0]), float(mean[1])),
        camera=tuple(float(value) for value in camera[mask].mean(axis=0)),  # type: ignore[arg-type]
        area=float(mask.mean()) * body,
        extent=float(np.quantile(along, 0.95) - np.quantile(along, 0.05)) + GRID,
        agreement=float(np.linalg.norm(units.mean(axis=0))),
        around=around,
        explained=explained,
        changed=changed,
        colours=colours,
        box=_box(where[0], height, width),
        end_box=_box(where[1], height, width),
    )


def _proof(
    window: Window, mask: Mask, own: Floats, camera: Floats
) -> tuple[float, int, tuple[float, ...], float, tuple[Floats, Floats] | None]:
    """How far movement explains what changed in the region, over how many pixels, the colours of what moves, which part
    of the region it is, for flow drags a plain background along, and where its pixels start and end."""
    import cv2
    import numpy as np

    height, width = window.picture.shape[:2]
    rows, columns = np.nonzero(mask)
    top, bottom = rows.min(), rows.max() + 1
    left, right = columns.min(), columns.max() + 1
    size = (int(right - left) * GRID, int(bottom - top) * GRID)

    def dense(values: Floats) -> Floats:
        part = values[top:bottom, left:right].astype(np.float32)
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)

    inside = cv2.resize(mask[top:bottom, left:right].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    y0, x0 = int(top) * GRID, int(left) * GRID
    down, across = np.nonzero(inside)
    fits = (down + y0 < height) & (across + x0 < width)
    down, across = down[fits], across[fits]
    y, x = down + y0, across + x0
    with_camera, by_itself = dense(camera)[down, across], dense(own)[down, across]
    then = window.before[y, x]
    stayed = _at(window.after, x + with_camera[:, 0], y + with_camera[:, 1])
    went = _at(window.after, x + with_camera[:, 0] + by_itself[:, 0], y + with_camera[:, 1] + by_itself[:, 1])
    if_stayed, if_went = np.linalg.norm(then - stayed, axis=1), np.linalg.norm(then - went, axis=1)
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
        where = starts, starts + with_camera[its_own] + by_itself[its_own]
    shares = colour_shares(window.picture[y[its_own], x[its_own]][None])
    near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    rim = near & (cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    around = window.points[rim].astype(int)
    colours = _distinct(shares, colour_shares(window.picture[around[:, 1], around[:, 0]][None]))
    body = 1.0
    if len(around):
        plain = window.before[around[:, 1], around[:, 0]]
        if float(plain.std(axis=0).max()) < _PLAIN:
            apart = np.linalg.norm(then - np.median(plain, axis=0), axis=1) > _CHANGED
            body = max(float(apart.mean()), 1 / len(then))
    return round(explained, 4), changed, colours, body, where


def _distinct(shares: Floats, around: Floats) -> tuple[float, ...]:
    """A thing's colours, without those of its surroundings: the edge of what moves is never sharp. A thing that has no
    others is of them."""
    own = (shares - around).clip(min=0)
    own = own if own.sum() >= _OWN_COLOURS else shares
    return tuple(round(float(share), 4) for share in own / max(float(own.sum()), 1e-6))


def _at(picture: Floats, across: Floats, down: Floats) -> Floats:
    import cv2
    import numpy as np

    padding = -len(across) % _ROW  # OpenCV refuses rows of more than 32,767
    x, y = (np.pad(places.astype(np.float32), (0, padding)).reshape(-1, _ROW) for places in (across, down))
    found = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(len(across) + padding, -1)[: len(across)], dtype=np.float32)


def _box(points: Floats, height: int, width: int) -> Rect:
    half = GRID / 2
    left, top = points.min(axis=0) - half
    right, bottom = points.max(axis=0) + half

    def within(value: float, side: int) -> float:
        return round(min(1.0, max(0.0, float(value) / side)), 4)

    return within(left, width), within(top, height), within(right, width), within(bottom, height)
