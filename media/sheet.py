"""Contact sheets: the frames of a video at one glance, each with its time."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from hardcut.media.frames import Frame
from hardcut.schemas.text.times import clock_time

_GAP = 6
_LABEL_GAP = 4
_BACKGROUND = (24, 26, 30)
_INK = (208, 212, 219)


def contact_sheet(frames: Sequence[Frame], columns: int = 6, width: int = 960) -> bytes:
    """A JPEG of that width: the frames in rows, in their order, each with its time below it, where it hides nothing.

    Raises ValueError for no frames."""
    if not frames:
        raise ValueError("a contact sheet needs at least one frame")
    columns = max(1, min(columns, len(frames)))
    cell = max(1, (width - _GAP * (columns + 1)) // columns)
    pictures = [_thumbnail(frame, cell) for frame in frames]
    font = ImageFont.load_default(max(9, min(18, cell // 10)))
    _, top, _, bottom = font.getbbox("0123456789:.")
    picture_height = max(picture.height for picture in pictures)
    height = picture_height + int(bottom - top) + 2 * _LABEL_GAP
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (width, rows * (height + _GAP) + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    left = (width - columns * cell - (columns - 1) * _GAP) // 2
    for number, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        row, column = divmod(number, columns)
        x = left + column * (cell + _GAP)
        y = _GAP + row * (height + _GAP)
        sheet.paste(picture, (x + (cell - picture.width) // 2, y + (picture_height - picture.height) // 2))
        draw.text((x + 2, y + picture_height + _LABEL_GAP - top), clock_time(frame.time_s), font=font, fill=_INK)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()


def _thumbnail(frame: Frame, width: int) -> Image.Image:
    # A cell is at most as high as it is wide, so that one upright video does not fill a page.
    with Image.open(io.BytesIO(frame.read())) as image:
        scale = min(width / image.width, width / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image.draft("RGB", size)  # the decoder scales down for free, to no less than that
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
