"""Contact sheets: the frames of a video at one glance, each with its time."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from hardcut.media.frames import Frame

_GAP = 6
_BACKGROUND = (24, 26, 30)
_LABEL = (12, 13, 15, 190)
_INK = (240, 242, 245, 255)


def contact_sheet(frames: Sequence[Frame], columns: int = 6, width: int = 960) -> bytes:
    """A JPEG of that width: the frames in rows, in their order, each with its time. Raises ValueError for no frames."""
    if not frames:
        raise ValueError("a contact sheet needs at least one frame")
    columns = max(1, min(columns, len(frames)))
    cell = max(1, (width - _GAP * (columns + 1)) // columns)
    pictures = [_thumbnail(frame, cell) for frame in frames]
    height = max(picture.height for picture in pictures)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (width, rows * (height + _GAP) + _GAP), _BACKGROUND)
    left = (width - columns * cell - (columns - 1) * _GAP) // 2
    for number, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        row, column = divmod(number, columns)
        x = left + column * (cell + _GAP)
        y = _GAP + row * (height + _GAP)
        sheet.paste(picture, (x + (cell - picture.width) // 2, y + (height - picture.height) // 2))
        _label(sheet, clock(frame.time_s), x, y + height, max(9, min(13, cell // 11)))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=82, optimize=True)
    return buffer.getvalue()


def clock(seconds: float) -> str:
    """A time as players show it: 0:07.5, 1:02:03.0."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 10:02d}.{rest % 10}"


def _thumbnail(frame: Frame, width: int) -> Image.Image:
    # A cell is at most as high as it is wide, so that one upright video does not fill a page.
    with Image.open(frame.path) as image:
        image.draft("RGB", (width, width))  # the decoder scales down for free
        picture = image.convert("RGB")
    scale = min(width / picture.width, width / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _label(sheet: Image.Image, text: str, left: int, bottom: int, size: int) -> None:
    """The time on a dark, rounded ground in the lower left corner of a cell."""
    font = ImageFont.load_default(size)
    _, top, right, low = font.getbbox(text)
    box = (0, 0, int(right) + 9, int(low - top) + 7)
    plate = Image.new("RGBA", (box[2] + 1, box[3] + 1), (0, 0, 0, 0))
    draw = ImageDraw.Draw(plate)
    draw.rounded_rectangle(box, radius=4, fill=_LABEL)
    draw.text((5, 4 - top), text, font=font, fill=_INK)
    sheet.paste(plate, (left + 5, bottom - plate.height - 5), plate)
