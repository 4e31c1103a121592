"""How a video looks, in a few cheap numbers that know nothing of what it shows: out of the thumbnails that its
signature keeps, so that no video is decoded for it. Pure functions."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from hardcut.schemas.copies import Signature

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOOK = (
    "brightness",
    "contrast",
    "flattest",
    "flat",
    "red",
    "blue",
    "saturation",
    "colours",
    "edges",
    "sharpness",
    "border",
    "change",
    "brightness_spread",
    "saturation_spread",
    "pictures",
)
"""Means over the pictures, but: `flattest` is the contrast of the flattest picture, `flat` the share of pictures that
show one tone (a grey frame), `change` how much a picture differs from the one before, `*_spread` the standard deviation
over the pictures, `pictures` how many there are. `border` is the contrast of the outermost pixels."""
_FLAT = 3.0
"""Levels of 255: a picture that deviates less shows one tone."""


def look_of(signature: Signature) -> dict[str, float] | None:
    """How the video of a signature looks; None where its sheet cannot be read."""
    from hardcut.media.duplicates import Fingerprint

    try:
        found = Fingerprint(signature.times, (), base64.b64decode(signature.sheet)).thumbnails
    except (OSError, ValueError):
        return None
    return look(found) if len(found) else None


def look(thumbnails: NDArray[np.uint8]) -> dict[str, float]:
    """The numbers of `LOOK` out of a video's pictures: RGB, shape (pictures, height, width, 3), at least one. Levels
    are of 255; `red` and `blue` are how far the mean colour lies from grey."""
    import numpy as np

    rgb = thumbnails.astype(np.float32)
    grey = rgb @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    contrast = grey.std(axis=(1, 2))
    saturation = (rgb.max(axis=3) - rgb.min(axis=3)).mean(axis=(1, 2))
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    bend = np.abs(np.diff(across, axis=2)).mean() + np.abs(np.diff(down, axis=1)).mean()
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    brightness = grey.mean(axis=(1, 2))
    found = {
        "brightness": brightness.mean(),
        "contrast": contrast.mean(),
        "flattest": contrast.min(),
        "flat": (contrast < _FLAT).mean(),
        "red": (rgb[..., 0] - grey).mean(),
        "blue": (rgb[..., 2] - grey).mean(),
        "saturation": saturation.mean(),
        "colours": rgb.reshape(len(rgb), -1, 3).std(axis=1).mean(),
        "edges": np.abs(across).mean() + np.abs(down).mean(),
        "sharpness": bend,
        "border": border.std(axis=1).mean(),
        "change": np.abs(np.diff(grey, axis=0)).mean() if len(grey) > 1 else 0.0,
        "brightness_spread": brightness.std(),
        "saturation_spread": saturation.std(),
        "pictures": len(grey),
    }
    return {name: round(float(found[name]), 3) for name in LOOK}
