"""Regions of the picture that stand out: from the background where the camera stands, from its movement where not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from hardcut.synth.evidence.colours import colour_shares
from hardcut.synth.evidence.movers import Blob, Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]
    Mask = NDArray[np.bool_]

CONTRAST = 14.0
"""Least distance in CIELAB from the background: twice what codecs and grain do."""
SMALLEST = 0.0015
"""Smaller regions, as fractions of the picture, are noise."""
MOST = 12
"""Regions in a frame, the largest first."""
RIM = 4
"""Pixels around a region that it is compared with."""
BACKGROUND_FRAMES = 60


def background(pictures: Sequence[Image]) -> Image:
    """What stands still in most of the pictures: their median, of at most 60 of them."""
    import numpy as np

    step = max(1, len(pictures) // BACKGROUND_FRAMES)
    return np.asarray(np.median(np.stack(pictures[::step]), axis=0), dtype=np.uint8)


def in_front(picture: Image, behind: Image) -> Mask:
    """Where a picture differs from the background."""
    import cv2
    import numpy as np

    opened = cv2.morphologyEx(_differs(picture, behind).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0)


def without_holes(pictures: Sequence[Image], behind: Image, masks: Sequence[Mask]) -> list[Mask]:
    """The masks without the places that something left or has yet to come to.

    What comes to rest and stays is part of the median; before it came, its place stands out although nothing is there.
    Such a hole looks like what is around it, and the background there does not. A thing that arrives may touch it, so
    a hole reaches over to the neighbouring frames as far as nothing changes in it.
    """
    holes = [_holes(picture, behind, mask) for picture, mask in zip(pictures, masks, strict=True)]
    if not any(hole.any() for hole in holes):
        return list(masks)
    still = [~_differs(one, other) for one, other in pairwise(pictures)]
    for at in range(1, len(pictures)):
        holes[at] |= holes[at - 1] & still[at - 1]
    for at in range(len(pictures) - 2, -1, -1):
        holes[at] |= holes[at + 1] & still[at]
    return [mask & ~hole for mask, hole in zip(masks, holes, strict=True)]


def _holes(picture: Image, behind: Image, mask: Mask) -> Mask:
    import cv2
    import numpy as np

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = np.zeros_like(mask)
    for number in range(1, count):
        left, top, wide, high, area = (int(value) for value in stats[number])
        if area < SMALLEST * mask.size:
            continue
        part = (slice(max(0, top - RIM), top + high + RIM), slice(max(0, left - RIM), left + wide + RIM))
        inside = labels[part] == number
        near = cv2.dilate(inside.astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0
        rim = near & (labels[part] == 0)
        if rim.any() and 2 * _contrast(picture[part], inside, rim) < _contrast(behind[part], inside, rim):
            found[part] |= inside
    return found


def _contrast(picture: Image, inside: Mask, rim: Mask) -> float:
    import numpy as np

    lab = _lab(picture)
    return float(np.linalg.norm(lab[inside].mean(axis=0) - lab[rim].mean(axis=0)))


def _differs(picture: Image, other: Image) -> Mask:
    import numpy as np

    return np.asarray(((_lab(picture) - _lab(other)) ** 2).sum(axis=2) > CONTRAST**2)


def _lab(picture: Image) -> Floats:
    """CIELAB of a slightly blurred picture; lightness 0..100."""
    import cv2
    import numpy as np

    lab = cv2.cvtColor(cv2.blur(picture, (3, 3)), cv2.COLOR_BGR2LAB).astype(np.float32)
    lab[..., 0] *= 100 / 255
    return np.asarray(lab)


def changed(flow: Floats, least: float) -> Mask:
    """Where the flow is longer than `least` pixels."""
    import cv2
    import numpy as np

    mask = (np.hypot(flow[..., 0], flow[..., 1]) > least).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) > 0)


def blobs(frame: int, picture: Image, mask: Mask, shift: Point = (0.0, 0.0)) -> list[Blob]:
    """The connected regions of a mask, the largest first; `shift` is added to their centres."""
    import cv2
    import numpy as np

    height, width = mask.shape
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    order = sorted(range(1, count), key=lambda number: (-int(stats[number][4]), number))
    found = []
    for number in order[:MOST]:
        left, top, wide, high, area = (int(value) for value in stats[number])
        if area < SMALLEST * width * height:
            break
        part = (slice(top, top + high), slice(left, left + wide))
        shares = colour_shares(picture[part], labels[part] == number)
        side = max(width, height)
        found.append(
            Blob(
                frame=frame,
                centre=(
                    round(float(centres[number][0]) / side + shift[0], 4),
                    round(float(centres[number][1]) / side + shift[1], 4),
                ),
                box=(
                    round(left / width, 4),
                    round(top / height, 4),
                    round((left + wide) / width, 4),
                    round((top + high) / height, 4),
                ),
                area=round(area / (width * height), 5),
                colours=tuple(round(float(share), 3) for share in shares),
                cut=left == 0 or top == 0 or left + wide == width or top + high == height,
            )
        )
    return found
