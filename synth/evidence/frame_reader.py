"""Lines of text, read in the frames of a video in order. Only what changed since the last frame is looked at again.

The detector costs ten times what reading a line does and grows with the area it is given, so a frame is compared with
what was last read, block by block, and detection runs on the changed part alone. Lines none of whose pixels changed are
carried over unread. A line that comes back as it was is known again (`known_lines.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hardcut.schemas.text.clean import clean
from hardcut.synth.evidence.known_lines import KnownLines
from hardcut.synth.evidence.readers import Engine
from hardcut.synth.evidence.tracks import Reading, Rect

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Mask = NDArray[np.bool_]
    Quad = NDArray[np.float32]

BLOCK = 8
"""Side of a block in pixels of the detector's picture: a letter of the smallest legible text fills one."""
BLOCK_CHANGE = 6.0
"""Mean change of grey (0..255) in a block that counts: codecs' noise is below 4, a faint small letter above 10."""
MARGIN = 3
"""Blocks around a changed part that the detector sees too, so that no letter touches the edge."""
WHOLE = 0.6
"""Changed parts that cover more than this of the picture are not worth cutting out."""
WORTH_FOLLOWING = 0.3
"""Readings below this confidence are noise even where a line was seen before."""
SAME_PLACE = 0.7
"""Share of a box inside another from which on both are the same line."""


class FrameReader:
    """Reads the frames of one video in order and remembers what it has seen."""

    def __init__(self, engine: Engine, side: int) -> None:
        self._engine = engine
        self._side = side
        self._seen: NDArray[np.uint8] | None = None
        self._lines: list[Reading] = []
        self._known = KnownLines()
        self.aspect = 1.0
        """Width over height of the pictures."""

    def read(self, index: int, image: Image) -> list[Reading]:
        """The readings that hold in this frame: those that still stand, and what is new."""
        self.aspect = image.shape[1] / image.shape[0]
        small = _shrink(image, self._side)
        changed = self._changes(small)
        if not changed.any():
            return self._lines
        kept = [line for line in self._lines if not changed[_blocks(line.box, changed)].any()]
        parts = _parts(changed, [line.box for line in self._lines])
        found = [(quad, _rect(quad)) for part in parts for quad in _detect(self._engine, small, part)]
        new = [(quad, box) for quad, box in found if not any(_share(box, line.box) > SAME_PLACE for line in kept)]
        kept = [line for line in kept if not any(_share(line.box, box) > SAME_PLACE for _, box in new)]
        read = self._read_new(index, image, new) if new else []
        self._lines = kept + [reading for reading in read if reading is not None]
        return self._lines

    def _read_new(self, index: int, image: Image, new: Sequence[tuple[Quad, Rect]]) -> list[Reading | None]:
        """Lines that were not there before; what came back as it was is not read again."""
        import cv2
        import numpy as np

        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        read: list[Reading | None] = []
        for quad, box in new:
            known = self._known.find(grey, box)
            if known is not None:
                read.append(replace(known, frame=index, box=box, corners=_corners(quad)))
                continue
            reading = _recognise(self._engine, index, image, quad, box)
            if reading is not None:
                self._known.add(grey, reading)
            read.append(reading)
        return read

    def _changes(self, small: Image) -> Mask:
        """Which blocks differ from what was last read there. Those are remembered as they are now."""
        import cv2
        import numpy as np

        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        height, width = grey.shape
        rows, columns = -(-height // BLOCK), -(-width // BLOCK)
        if self._seen is None or self._seen.shape != grey.shape:
            self._seen, self._lines = grey, []
            return np.ones((rows, columns), dtype=np.bool_)
        difference = np.zeros((rows * BLOCK, columns * BLOCK), dtype=np.uint8)
        difference[:height, :width] = cv2.absdiff(grey, self._seen)
        changed: Mask = difference.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3)) > BLOCK_CHANGE
        pixels = changed.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]
        self._seen[pixels] = grey[pixels]
        return changed


def _shrink(image: Image, side: int) -> Image:
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _blocks(box: Rect, mask: Mask, margin: int = 0) -> tuple[slice, slice]:
    """The blocks of the mask that the box lies on."""
    rows, columns = mask.shape
    top, bottom = int(box[1] * rows) - margin, int(box[3] * rows) + 1 + margin
    left, right = int(box[0] * columns) - margin, int(box[2] * columns) + 1 + margin
    return slice(max(0, top), bottom), slice(max(0, left), right)


def _parts(changed: Mask, known: Sequence[Rect]) -> list[tuple[slice, slice]]:
    """The changed parts of the picture in pixels (rows, columns): disjoint, with margin, no known line cut."""
    import cv2
    import numpy as np

    mask = cv2.dilate(changed.astype(np.uint8), np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)).astype(np.bool_)
    parts: list[tuple[slice, slice]] = []
    before = None
    while before is None or (mask != before).any():
        before = mask.copy()
        for box in known:
            line = _blocks(box, mask, margin=1)
            if mask[line].any():
                mask[line] = True
        parts = _components(mask)
        for part in parts:
            mask[part] = True
    if mask.mean() > WHOLE:
        parts = [(slice(0, mask.shape[0]), slice(0, mask.shape[1]))]
    return [
        (slice(rows.start * BLOCK, rows.stop * BLOCK), slice(columns.start * BLOCK, columns.stop * BLOCK))
        for rows, columns in parts
    ]


def _components(mask: Mask) -> list[tuple[slice, slice]]:
    import cv2
    import numpy as np

    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return [
        (slice(int(top), int(top + height)), slice(int(left), int(left + width)))
        for left, top, width, height, _ in stats[1:count]
    ]


def _detect(engine: Engine, small: Image, part: tuple[slice, slice]) -> list[Quad]:
    """Four corners, as fractions of the picture, of every line of text in a part of it."""
    import numpy as np

    height, width = small.shape[:2]
    corner = np.array([part[1].start, part[0].start], dtype=np.float32)
    size = np.array([width, height], dtype=np.float32)
    return [((box + corner) / size).clip(0.0, 1.0) for box in engine.detect(np.ascontiguousarray(small[part]))]


def _recognise(engine: Engine, index: int, image: Image, quad: Quad, box: Rect) -> Reading | None:
    """Reads one line at full size, with an empty text where it cannot be read; None where it is too small."""
    import numpy as np

    height, width = image.shape[:2]
    corners = (quad * np.array([width, height], dtype=np.float32)).astype(np.float32)
    if np.ptp(corners[:, 0]) < 2 or np.ptp(corners[:, 1]) < 2:
        return None
    told = engine.recognise(upright(image, corners))
    text, confidence = clean(told.text), round(min(1.0, told.confidence), 4)
    is_text = any(character.isalnum() for character in text)  # round things are read as bullets
    if not is_text or confidence < WORTH_FOLLOWING:
        text, confidence = "", 0.0
    return Reading(index, text, confidence, box, _corners(quad), told.reader)


def _corners(quad: Quad) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in quad)


def upright(image: Image, corners: Quad) -> Image:
    """The part of a picture between four corners, clockwise from the upper left, as a rectangle; text that runs down
    is laid on its side."""
    import cv2
    import numpy as np

    def side(one: int, other: int) -> float:
        return float(np.linalg.norm(corners[one] - corners[other]))

    width, height = max(1, int(max(side(0, 1), side(2, 3)))), max(1, int(max(side(0, 3), side(1, 2))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    line = cv2.warpPerspective(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.rot90(line) if height >= 1.5 * width else line, dtype=np.uint8)


def _rect(quad: Quad) -> Rect:
    left, top = (round(float(value), 4) for value in quad.min(axis=0))
    right, bottom = (round(float(value), 4) for value in quad.max(axis=0))
    return left, top, right, bottom


def _share(box: Rect, of: Rect) -> float:
    """The part of `box` that lies inside `of`, 0..1."""
    width = min(box[2], of[2]) - max(box[0], of[0])
    height = min(box[3], of[3]) - max(box[1], of[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return width * height / area if width > 0 and height > 0 and area > 0 else 0.0
