"""Stored frames as arrays, for worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.schemas.errors import ItemError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def load_image(path: Path) -> NDArray[np.uint8]:
    """A stored frame as height x width x 3 bytes, blue first. Raises ItemError where the file is gone or no picture."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)  # one process a core already
    try:
        image = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise ItemError("frame_unreadable", f"stored frame {path.name} is gone or no picture: start the run again")
    return np.asarray(image, dtype=np.uint8)
