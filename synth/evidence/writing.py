"""Text that moves is text and no movement of things: what was found to move where lines of text stood is left out.

A ticker, rising credits, a subtitle that gives way to another: the flow of pictures follows letters as it does things,
and letter after letter looks alike, so that they may even seem to go the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hardcut.synth.evidence.motion import Finding
from hardcut.synth.evidence.tracks import Reading, Rect
from hardcut.synth.evidence.unread import same_height

COVERED = 0.5
"""Share of the place of a movement that lines of text cover, at least, where it is theirs. A thing with a text on it is
larger than the text."""
_LINE, _HIGHEST = 1.5, 0.2
"""A line is so many times longer than high, and at most such a part of the picture high: all else is a texture or the
whole picture, which recognisers find signs in."""
_SURE, _LETTERS = 0.7, 3
"""Least confidence of its reading and letters in it: the detector stumbles over clouds too, and they move."""
_LONG, _LOW = 4.0, 0.12
"""What is not read is a line of text where it is so many times longer than high, at most so high, ..."""
_LOOKS, _OTHERS = 2, 2
"""... and stands at one height in so many others of as many pictures before and after it. So a ticker in a script that
nobody reads is known, and a cloud is none."""
_NEAR_S, _FAR_S = 0.5, 8.0
"""Text counts from so long before a movement to so long after it; where no picture was looked at for text then, that of
the nearest ones."""
_DRAGGED = 0.4
"""Flow drags plain ground along with letters: so far beside a line, in its heights."""
_CELLS = 64


@dataclass(frozen=True, slots=True)
class Writing:
    """Where lines of text were in the picture of one time."""

    time_s: float
    boxes: tuple[Rect, ...]


def writing(times: Sequence[float], frames: Sequence[Sequence[Reading]], aspect: float) -> list[Writing]:
    """The lines of the readings (`frames[i]` are those at `times[i]`); `aspect` is the picture's width over its
    height."""
    shaped = [[each for each in readings if _has_shape(each, aspect)] for readings in frames]
    return [
        Writing(
            time_s,
            tuple(each.box for each in lines if _is_read(each) or _stays_level(each.box, number, shaped, aspect)),
        )
        for number, (time_s, lines) in enumerate(zip(times, shaped, strict=True))
    ]


def things(found: Sequence[Finding], written: Sequence[Writing]) -> list[Finding]:
    """What was found without the movements that are those of text. What has no place, as the camera, stays."""
    return [each for each in found if each.box is None or covered(each.box, _around(each, written)) < COVERED]


def covered(box: Rect, boxes: Sequence[Rect]) -> float:
    """The share of a box that others cover, each point counted once."""
    import numpy as np

    width, height = box[2] - box[0], box[3] - box[1]
    if width <= 0 or height <= 0:
        return 0.0
    across = box[0] + (np.arange(_CELLS) + 0.5) / _CELLS * width
    down = box[1] + (np.arange(_CELLS) + 0.5) / _CELLS * height
    inside = np.zeros((_CELLS, _CELLS), dtype=np.bool_)
    for left, top, right, bottom in boxes:
        inside |= np.outer((down >= top) & (down <= bottom), (across >= left) & (across <= right))
    return float(inside.mean())


def _around(found: Finding, written: Sequence[Writing]) -> list[Rect]:
    """The lines of text in the pictures that were looked at while something moved."""
    during = [each for each in written if found.start - _NEAR_S <= each.time_s <= found.end + _NEAR_S]
    if not during:
        before = [each for each in written if found.start - _FAR_S <= each.time_s < found.start][-1:]
        during = before + [each for each in written if found.end < each.time_s <= found.end + _FAR_S][:1]
    return [_wider(box) for each in during for box in each.boxes]


def _wider(box: Rect) -> Rect:
    by = _DRAGGED * (box[3] - box[1])
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _has_shape(reading: Reading, aspect: float) -> bool:
    height = reading.box[3] - reading.box[1]
    return height <= _HIGHEST and _length(reading.box, aspect) >= _LINE * height


def _is_read(reading: Reading) -> bool:
    return reading.confidence >= _SURE and sum(map(str.isalnum, reading.text)) >= _LETTERS


def _stays_level(box: Rect, number: int, frames: Sequence[Sequence[Reading]], aspect: float) -> bool:
    """Whether an unread line of the picture `number` is long, and others are at its height shortly before or after."""
    height = box[3] - box[1]
    if height > _LOW or _length(box, aspect) < _LONG * height:
        return False
    near = [*frames[max(0, number - _LOOKS) : number], *frames[number + 1 : number + 1 + _LOOKS]]
    return sum(any(same_height(box, each.box) for each in readings) for readings in near) >= _OTHERS


def _length(box: Rect, aspect: float) -> float:
    """In heights of the picture, as `box` has its height."""
    return (box[2] - box[0]) * aspect
