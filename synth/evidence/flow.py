"""Dense optical flow between neighbouring pictures (DIS: Kroeger et al., "Fast optical flow using dense inverse
search", ECCV 2016), put together over several of them, and what of it is the camera's own movement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

SMALLEST_SIDE = 16
"""Of smaller pictures no flow can be told; OpenCV refuses them."""
GRID = 4
"""Movement is told of every fourth pixel across and down."""
TEXTURE = 6.0
"""Flow is only known where the picture has structure: least gradient (Sobel, 0..255) of a point that counts."""
_TINTED = (0.53, 0.55, -0.08)
"""Weights of blue, green and red: brightness + 3/4 Cb - 1/2 Cr (JFIF). Pure colours are of one brightness: this tells
them apart."""
_TINTED_BETTER = 2.0
_CHANGED_LEVELS, _CHANGED_PIXELS = 24, 40
"""Of so many pixels that change so far must be told which grey shows the change."""
_QUIET = 0.25
"""Pixels from one picture to the next: where nothing moves further, nothing has to be checked."""
_FITS = 1.0
"""Pixels by which a point may miss the camera's movement."""
_EXPLAINED = 0.75
_EXPLAINED_BORDER = 0.7
"""Least share of the structure, and of that near the border, that a moving camera explains."""
_LEAST_POINTS, _FITTED = 40, 400
"""Points that the camera's movement is fitted to."""
_PARTS = 9
"""In so many of 4 x 4 parts of the picture there is structure that follows it: what fills a side is no camera."""


@dataclass(frozen=True, slots=True)
class Step:
    """The flow from one picture to the next, height x width x (across, down) in pixels, and back; None where hardly
    anything moves."""

    there: Floats
    back: Floats | None


@dataclass(frozen=True, slots=True)
class Background:
    """How what stands still is displaced over some pictures: by a homography (3 x 3), that `share` of the picture's
    structure follows. The identity where the camera stands (`still`)."""

    matrix: Floats
    share: float
    still: bool = False

    def displaced(self, points: Floats) -> Floats:
        """Where points (..., 2) of the background go: displacements in pixels."""
        import numpy as np

        if self.still:
            return np.zeros_like(points)
        ones = np.ones((*points.shape[:-1], 1), dtype=np.float32)
        moved = np.concatenate([points, ones], axis=-1) @ self.matrix.T
        depth = np.where(np.abs(moved[..., 2:]) < 1e-6, 1.0, moved[..., 2:])
        return np.asarray(moved[..., :2] / depth - points, dtype=np.float32)


def dense_flow(one: Image, other: Image) -> Floats:
    """Where each pixel of a grey picture goes in the next one: height x width x (across, down) in pixels; nowhere in
    pictures of fewer than 16 rows or columns."""
    import numpy as np

    if min(one.shape) < SMALLEST_SIDE:
        return np.zeros((*one.shape, 2), dtype=np.float32)
    return np.asarray(_engine(*one.shape).calc(one, other, None), dtype=np.float32)


class Shades:
    """A picture (blue first) and its two greys; the second one is made when it is asked for."""

    def __init__(self, colour: Image) -> None:
        import cv2
        import numpy as np

        self.colour = colour
        self.grey: Image = np.asarray(cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        self._tinted: Image | None = None

    @property
    def tinted(self) -> Image:
        """The grey that tells pure colours apart."""
        import cv2
        import numpy as np

        if self._tinted is None:
            weights = np.array([_TINTED], dtype=np.float32)
            shade = cv2.transform(self.colour.astype(np.float32), weights)
            self._tinted = np.clip(shade, 0, 255, out=shade).astype(np.uint8)
        return self._tinted


def flow_step(before: Shades, after: Shades) -> Step:
    """The flow between two pictures, there and back, in the grey that shows best what changed."""
    import cv2

    one, other = _greys(before, after)
    there = dense_flow(one, other)
    quiet = cv2.norm(there, cv2.NORM_INF) < _QUIET
    return Step(there, None if quiet else dense_flow(other, one))


def _greys(before: Shades, after: Shades) -> tuple[Image, Image]:
    import cv2

    blue, green, red = cv2.split(cv2.absdiff(before.colour, after.colour))
    most = cv2.max(cv2.max(blue, green), red)
    changed = cv2.threshold(most, _CHANGED_LEVELS, 1, cv2.THRESH_BINARY)[1]
    if cv2.countNonZero(changed) >= _CHANGED_PIXELS:
        tinted, plain = (before.tinted, after.tinted), (before.grey, after.grey)
        by_tint, by_brightness = (cv2.mean(cv2.absdiff(*greys), changed)[0] for greys in (tinted, plain))
        if by_tint > _TINTED_BETTER * by_brightness:
            return tinted
    return before.grey, after.grey


def lengths(vectors: Floats) -> Floats:
    """The lengths of vectors (..., 2 or 3); numpy's own norm takes five times as long over so short an axis."""
    import numpy as np

    squares = vectors * vectors
    total = squares[..., 0] + squares[..., 1]
    return np.asarray(np.sqrt(total if squares.shape[-1] == 2 else total + squares[..., 2]), dtype=np.float32)


@lru_cache(maxsize=8)
def grid(height: int, width: int) -> Floats:
    """The points that movement is told of: rows x columns x (across, down), read-only."""
    import numpy as np

    rows, columns = np.mgrid[GRID // 2 : height : GRID, GRID // 2 : width : GRID].astype(np.float32)
    points = np.stack([columns, rows], axis=-1)
    points.flags.writeable = False
    return points


def carried(steps: Sequence[Step], points: Floats) -> tuple[list[Floats], Mask]:
    """Where points are after each of the steps, and which of them came there for sure: of which the flow there and the
    flow back agree at each step, and which never left the picture."""
    import numpy as np

    height, width = steps[0].there.shape[:2]
    end = np.array([width + 2, height + 2], dtype=np.float32)
    sure = np.ones(points.shape[:-1], dtype=np.bool_)
    places, here = [], points
    for step in steps:
        moved = _sampled(step.there, here)
        there = here + moved
        if step.back is not None:
            astray = lengths(moved + _sampled(step.back, there))
            sure &= astray < 0.7 + 0.15 * lengths(moved)
        inside = (there >= -2) & (there < end)
        sure &= inside[..., 0] & inside[..., 1]
        here = there
        places.append(here)
    return places, sure


def structured(grey: Image, points: Floats) -> Mask:
    """At which grid points a picture has structure."""
    import cv2
    import numpy as np

    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25))
    rows, columns = points[..., 1].astype(int), points[..., 0].astype(int)
    return np.asarray(slope[rows, columns] > TEXTURE)


def moving_background(points: Floats, moved: Floats, known: Mask) -> Background | None:
    """The camera's movement, out of the displacements of the `known` points (RANSAC, always the same random seed); None
    where it does not explain most of the picture. Things at different depths and a camera that walks are such."""
    import cv2
    import numpy as np

    if known.sum() < _LEAST_POINTS:
        return None
    every = max(1, int(known.sum()) // _FITTED)
    start, gone = points[known][::every], moved[known][::every]
    cv2.setRNGSeed(0)
    matrix, _ = cv2.findHomography(start, start + gone, cv2.RANSAC, _FITS, maxIters=300)
    if matrix is None:
        return None
    found = Background(np.asarray(matrix, dtype=np.float32), 0.0)
    fits = lengths(found.displaced(points) - moved) < _FITS
    rows, columns = known.shape
    near = np.ones_like(known)
    near[rows // 6 : rows - rows // 6, columns // 6 : columns - columns // 6] = False
    share = float(fits[known].mean())
    border = known & near
    if share < _EXPLAINED or border.sum() < _LEAST_POINTS // 4 or fits[border].mean() < _EXPLAINED_BORDER:
        return None
    parts = [
        (int(known[part].sum()), float(fits[part][known[part]].mean()) if known[part].any() else 0.0)
        for down in range(4)
        for across in range(4)
        for part in [
            (slice(down * rows // 4, (down + 1) * rows // 4), slice(across * columns // 4, (across + 1) * columns // 4))
        ]
    ]
    if sum(count >= 4 and fit >= 0.5 for count, fit in parts) < _PARTS:
        return None
    return Background(found.matrix, share)


def still_background(share: float) -> Background:
    """That of a camera that stands."""
    import numpy as np

    return Background(np.eye(3, dtype=np.float32), share, still=True)


def _sampled(flow: Floats, points: Floats) -> Floats:
    import cv2
    import numpy as np

    found = cv2.remap(flow, np.asarray(points), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(found, dtype=np.float32)


@lru_cache(maxsize=4)
def _engine(height: int, width: int) -> Any:
    """One for each size of pictures: one that was used at another size before gives other flow. At one size it gives
    what a new one gives, which takes a fifth longer: it has its memory to ask for."""
    import cv2

    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
