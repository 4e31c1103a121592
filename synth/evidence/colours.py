"""Colours by name, in a space where equal distances look alike: OKLab (Ottosson, "A perceptual color space for image
processing", 2020), in polar form. The names are the basic terms of English (Berlin and Kay, 1969) and turquoise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from hardcut.media.frames import Frame
from hardcut.synth.evidence.pictures import load_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

NAMES = (
    "black", "grey", "white", "brown", "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink",
)  # fmt: skip
_HUES = (
    (12, "pink"), (40, "red"), (72, "orange"), (115, "yellow"), (168, "green"), (220, "turquoise"), (282, "blue"),
    (330, "purple"), (360, "pink"),
)  # fmt: skip
"""Up to which hue (degrees) a colour has a name."""
SCENE_SHARE = 0.15
"""Least part of the picture of a colour that is told of a scene."""
_LOOKS = 5
"""Frames of a shot whose colours are looked at."""
_BITS = 5
"""Of a channel that are looked at: 32,768 colours in all."""


def colour_shares(image: Image, mask: NDArray[np.bool_] | None = None) -> Floats:
    """The share of each of `NAMES` in a picture (height x width x 3, blue first) or in a part of it; all 0 of none."""
    import numpy as np

    pixels = (image if mask is None else image[mask]).reshape(-1, 3) >> (8 - _BITS)
    counts = np.bincount(_table()[pixels[:, 0], pixels[:, 1], pixels[:, 2]], minlength=len(NAMES))
    return (counts / max(1, len(pixels))).astype(np.float32)


def names(shares: Sequence[float] | Floats, least: float, most: int, *, hues_first: bool = False) -> list[str]:
    """The colours with at least so large a share, the largest first; if there is none, the largest. Around a thing
    there is often a grey rim of shadow and blur; `hues_first` passes over grey where there is a hue."""
    order = sorted(range(len(NAMES)), key=lambda number: (-float(shares[number]), number))
    found = [NAMES[number] for number in order if shares[number] >= least]
    if hues_first and len(found) > 1 and "grey" in found:
        found.remove("grey")
    return (found or [NAMES[order[0]]])[:most]


def scene_colours(frames: Sequence[Frame]) -> tuple[str, float] | None:
    """The colours that fill most of some stored frames of one shot, in words, and the share of the first; None without
    frames. For a worker process."""
    import numpy as np

    if not frames:
        return None
    seen = [frames[(2 * number + 1) * len(frames) // (2 * _LOOKS)] for number in range(_LOOKS)]
    unique = list({frame.path: frame for frame in seen}.values())
    shares = np.mean([colour_shares(load_image(frame.path)) for frame in unique], axis=0)
    first, *others = names(shares, SCENE_SHARE, 3)
    text = f"mostly {first}" + (f", with {' and '.join(others)}" if others else "")
    if shares.max() < SCENE_SHARE:
        text = f"of many colours, {first} among them"
    return text, round(float(shares.max()), 3)


def _oklab(rgb: Floats) -> Floats:
    """Lightness, green to red and blue to yellow of sRGB values 0..1, red first; white is (1, 0, 0)."""
    import numpy as np

    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [[0.4122214708, 0.2119034982, 0.0883024619],
         [0.5363325363, 0.6806995451, 0.2817188376],
         [0.0514459929, 0.1073969566, 0.6299787005]], dtype=np.float32,
    )  # fmt: skip
    found: Floats = np.cbrt(cones) @ np.array(
        [[0.2104542553, 1.9779984951, 0.0259040371],
         [0.7936177850, -2.4285922050, 0.7827717662],
         [-0.0040720468, 0.4505937099, -0.8086757660]], dtype=np.float32,
    )  # fmt: skip
    return found


@cache
def _table() -> NDArray[np.uint8]:
    """The number in `NAMES` of each colour of 5 bits a channel, indexed by blue, green, red."""
    import numpy as np

    steps = (np.arange(2**_BITS, dtype=np.float32) + 0.5) / 2**_BITS
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    lab = _oklab(np.stack([red, green, blue], axis=-1))
    light, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    named = np.full(light.shape, NAMES.index("pink"), dtype=np.uint8)
    for limit, name in reversed(_HUES):
        named[hue < limit] = NAMES.index(name)
    named[(hue > 30) & (hue < 95) & (light < 0.58) & (chroma < 0.13)] = NAMES.index("brown")
    named[(named == NAMES.index("red")) & (light > 0.75)] = NAMES.index("pink")
    faint = chroma < 0.035 + 0.015 * (light < 0.35)
    named[faint] = NAMES.index("grey")
    named[faint & (light > 0.9)] = NAMES.index("white")
    named[(faint & (light < 0.3)) | (light < 0.17)] = NAMES.index("black")
    return named
