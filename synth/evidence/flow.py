"""Dense optical flow between stored frames (DIS: Kroeger et al., "Fast optical flow using dense inverse search", ECCV
2016), and what of it is the camera's own movement."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

SMALLEST_SIDE = 16
"""Of smaller pictures no flow can be told; OpenCV refuses them."""
GRID = 6
"""The camera's movement is fitted to the flow at every sixth pixel across and down."""
TEXTURE = 6.0
"""Flow is only known where the picture has structure: least gradient (Sobel, 0..255) of a pixel that counts."""
MOVING_PX = 1.5
"""Flow of less than this is noise."""
FITTED = 0.5
"""Least share of such pixels that move like the camera."""


@dataclass(frozen=True, slots=True)
class CameraStep:
    """How the picture as a whole moves to the next frame: a shift in fractions of its longer side, and a scale.

    `share` is the part of the picture's structure that moves like this; below FITTED nothing is known.
    """

    across: float
    down: float
    scale: float
    share: float

    @property
    def known(self) -> bool:
        return self.share >= FITTED


def dense_flow(one: Image, other: Image) -> Floats:
    """Where each pixel of a grey picture goes in the next one: height x width x (across, down) in pixels; nowhere in
    pictures of fewer than 16 rows or columns."""
    import numpy as np

    if min(one.shape) < SMALLEST_SIDE:
        return np.zeros((*one.shape, 2), dtype=np.float32)
    return np.asarray(_engine().calc(one, other, None), dtype=np.float32)


def camera_step(grey: Image, flow: Floats) -> CameraStep:
    """The shift, turn and scale that most of the picture's structure follows (RANSAC, always the same random seed)."""
    import cv2
    import numpy as np

    height, width = grey.shape
    rows, columns = np.mgrid[GRID // 2 : height : GRID, GRID // 2 : width : GRID].reshape(2, -1)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25))
    telling = slope[rows, columns] > TEXTURE
    rows, columns = rows[telling], columns[telling]
    if len(rows) < 12:
        return CameraStep(0.0, 0.0, 1.0, 0.0)
    start = np.stack([columns, rows], axis=1).astype(np.float32)
    cv2.setRNGSeed(0)
    matrix, fitting = cv2.estimateAffinePartial2D(start, start + flow[rows, columns], ransacReprojThreshold=MOVING_PX)
    if matrix is None:
        return CameraStep(0.0, 0.0, 1.0, 0.0)
    middle = np.array([width / 2, height / 2, 1.0])
    shift = (matrix @ middle - middle[:2]) / max(width, height)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return CameraStep(round(float(shift[0]), 4), round(float(shift[1]), 4), round(scale, 4), float(fitting.mean()))


def own_flow(flow: Floats, camera: CameraStep) -> Floats:
    """The flow without the camera's part (turns left aside)."""
    import numpy as np

    height, width = flow.shape[:2]
    side = max(width, height)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    across = camera.across * side + (camera.scale - 1) * (columns - width / 2)
    down = camera.down * side + (camera.scale - 1) * (rows - height / 2)
    return np.asarray(flow - np.stack([across, down], axis=-1), dtype=np.float32)


def carried(picture: Image, camera: CameraStep, *, back: bool = False) -> Image:
    """A picture as it would look after the camera's step (`back`: before it), had nothing else moved."""
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    side, scale = max(width, height), camera.scale
    across = camera.across * side + (1 - scale) * width / 2
    down = camera.down * side + (1 - scale) * height / 2
    matrix = np.array([[scale, 0, across], [0, scale, down]])
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if back else 0)
    moved = cv2.warpAffine(picture, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


@cache
def _engine() -> Any:
    """One a process."""
    import cv2

    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
