"""What is done to the frames of a video for a probe. Pure: frames in, frames out, each uint8 [height, width, 3].

All of them keep the times, so that a video is as long as before and is shown as often.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from hardcut.reranker.diagnosis.trials import Altered

Frames = list[Any]
Quads = Callable[[Any], Sequence[Any]]
"""Where text stands in a picture: corners, each [4, 2] in pixels (`synth.evidence.readers.Engine.detect`)."""
_BLUR, _MARGIN, _LARGEST, _SMALLEST = 12, 3, 0.09, 9


def altered_frames(of: Altered, frames: Frames, quads: Quads | None) -> Frames | None:
    """The frames that a probe shows; None where nothing can be done: without something that finds text, or where there
    is none. `again` is a matter of how they are written."""
    if of.how == "reversed":
        return frames[::-1]
    if of.how == "one-frame":
        return [frames[len(frames) // 2]] * len(frames)
    if of.how == "shuffled":
        order = list(range(len(frames)))
        random.Random(of.id).shuffle(order)
        return [frames[at] for at in order]
    if of.how == "words":
        return [burnt_in(frame, of.words) for frame in frames]
    if of.how == "muted":
        return muted(frames, quads) if quads else None
    return frames


def muted(frames: Frames, quads: Quads) -> Frames | None:
    """What is written in the frames, blurred; None where nothing is."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter

    found, any_text = [], False
    for frame in frames:
        picture = Image.fromarray(frame)
        mask = Image.new("L", picture.size, 0)
        for quad in quads(picture):
            any_text = True
            xs, ys = [float(point[0]) for point in quad], [float(point[1]) for point in quad]
            box = (min(xs) - _MARGIN, min(ys) - _MARGIN, max(xs) + _MARGIN, max(ys) + _MARGIN)
            ImageDraw.Draw(mask).rectangle(box, fill=255)
        blurred = picture.filter(ImageFilter.GaussianBlur(_BLUR))
        found.append(np.asarray(Image.composite(blurred, picture, mask)))
    return found if any_text else None


def burnt_in(frame: Any, words: str) -> Any:
    """A frame with a line of text on a dark band along its lower edge, as large as fits."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture, "RGBA")
    width, height = picture.size
    size = max(_SMALLEST, round(height * _LARGEST))
    lines = _wrapped(words, size, width)
    while size > _SMALLEST and len(lines) * size * 1.3 > height / 2:
        size -= 1
        lines = _wrapped(words, size, width)
    font, step = ImageFont.load_default(size), size * 1.3
    top = height - len(lines) * step - size * 0.3
    draw.rectangle((0, top, width, height), fill=(0, 0, 0, 200))
    for number, line in enumerate(lines):
        draw.text((width / 2, top + size * 0.15 + number * step), line, font=font, fill=(255, 255, 255), anchor="ma")
    return np.asarray(picture.convert("RGB"))


def _wrapped(words: str, size: int, width: int) -> list[str]:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width * 0.96:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
