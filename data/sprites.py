"""Small pictures with transparency: the things of a world and the plates with its words. Drawn large, scaled down smooth."""

from __future__ import annotations

from functools import lru_cache
from math import cos, pi, sin

from PIL import Image, ImageDraw

from hardcut.data.fonts import Fonts
from hardcut.data.model import COLOURS, Shape, Words

_SCALE = 4
_ASPECT: dict[Shape, float] = {"car": 1.9, "boat": 1.35, "balloon": 0.8, "door": 0.9}
"""Width over height where it is not 1."""


@lru_cache(maxsize=512)
def thing_sprite(shape: Shape, colour: str, height: int, turn: int = 0, facing_left: bool = False) -> Image.Image:
    """A thing in its own colour. `turn` is in degrees for a ball, and for a door how far it is open in percent."""
    width = round(height * _ASPECT.get(shape, 1.0))
    large = Image.new("RGBA", (width * _SCALE, height * _SCALE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(large)
    main = COLOURS[colour]
    _DRAWERS[shape](draw, width * _SCALE, height * _SCALE, main, turn)
    small = large.resize((width, height), Image.Resampling.BOX)
    return small.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if facing_left and shape in ("car", "boat") else small


def words_sprite(words: Words, fonts: Fonts) -> Image.Image:
    """A plate with a thin border and the words in its middle; capitals are `height_px` high."""
    cap = words.height_px
    font = fonts.sized(words.script, cap)
    left, top, right, bottom = font.getbbox(words.text)
    pad_x, pad_y = max(3, round(cap * 0.6)), max(2, round(cap * 0.5))
    size = (round(right - left) + 2 * pad_x, round(max(bottom - top, cap)) + 2 * pad_y)
    large = Image.new("RGBA", (size[0] * _SCALE, size[1] * _SCALE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(large)
    plate, ink = COLOURS[words.plate], COLOURS[words.ink]
    radius, line = cap * 0.3 * _SCALE, max(1.0, cap / 16) * _SCALE
    draw.rounded_rectangle((0, 0, large.width - 1, large.height - 1), radius, fill=plate)
    if cap >= 12:
        inset, faint = 2 * line, tuple(round(0.65 * a + 0.35 * b) for a, b in zip(plate, ink, strict=True))
        draw.rounded_rectangle(
            (inset, inset, large.width - 1 - inset, large.height - 1 - inset), max(1.0, radius - inset), outline=faint, width=round(line * 0.7)
        )
    small = large.resize(size, Image.Resampling.BOX)
    ImageDraw.Draw(small).text((size[0] / 2 - (left + right) / 2, size[1] / 2 - (top + bottom) / 2), words.text, font=font, fill=ink)
    return small


@lru_cache(maxsize=64)
def shadow_sprite(width: int) -> Image.Image:
    """A soft flat shadow for whatever stands on the ground."""
    height = max(4, width // 6)
    large = Image.new("RGBA", (width * _SCALE, height * _SCALE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(large)
    for step in range(6):
        inset = step * height * _SCALE // 14
        draw.ellipse((inset * 3, inset, large.width - inset * 3, large.height - inset), fill=(30, 34, 40, 14 + 12 * step))
    return large.resize((width, height), Image.Resampling.BOX)


@lru_cache(maxsize=64)
def presenter_sprite(height: int, mouth: int) -> Image.Image:
    """A speaker behind a lectern, head and shoulders; `mouth` is how wide it is open, 0..3."""
    size = (height, height)
    large = Image.new("RGBA", (size[0] * _SCALE, size[1] * _SCALE), (0, 0, 0, 0))
    draw, u = ImageDraw.Draw(large), height * _SCALE / 100
    draw.rounded_rectangle((22 * u, 56 * u, 78 * u, 110 * u), 18 * u, fill=(58, 76, 104))
    draw.polygon(((42 * u, 56 * u), (58 * u, 56 * u), (50 * u, 76 * u)), fill=(244, 240, 232))
    draw.rectangle((44 * u, 46 * u, 56 * u, 60 * u), fill=(206, 158, 128))
    draw.ellipse((33 * u, 8 * u, 67 * u, 50 * u), fill=(222, 176, 146))
    draw.chord((31 * u, 4 * u, 69 * u, 44 * u), 180, 360, fill=(70, 52, 44))
    for x in (43, 57):
        draw.ellipse(((x - 2) * u, 27 * u, (x + 2) * u, 31 * u), fill=(48, 40, 40))
    draw.ellipse(((50 - 5) * u, (40 - 0.6 - mouth) * u, (50 + 5) * u, (40 + 0.6 + mouth) * u), fill=(140, 62, 60))
    draw.rectangle((8 * u, 82 * u, 92 * u, 100 * u), fill=(128, 96, 70))
    draw.rectangle((8 * u, 82 * u, 92 * u, 86 * u), fill=(152, 118, 88))
    return large.resize(size, Image.Resampling.BOX)


RGB = tuple[int, int, int]


def _mixed(colour: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (round((1 - share) * a + share * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _ball(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    draw.ellipse((0, 0, w - 1, h - 1), fill=main)
    angle = turn * pi / 180
    for offset in (0, pi):
        x, y, r = w / 2 + 0.27 * w * cos(angle + offset), h / 2 + 0.27 * h * sin(angle + offset), 0.11 * h
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_mixed(main, (255, 255, 255), 0.75))
    draw.ellipse((0, 0, w - 1, h - 1), outline=_mixed(main, (0, 0, 0), 0.25), width=h // 28)


def _square(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    draw.rounded_rectangle((0, 0, w - 1, h - 1), h * 0.08, fill=main, outline=_mixed(main, (0, 0, 0), 0.25), width=h // 24)
    draw.line(((0.14 * w, 0.14 * h), (0.86 * w, 0.14 * h)), fill=_mixed(main, (255, 255, 255), 0.35), width=h // 24)


def _triangle(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    draw.polygon(((w / 2, 0), (w - 1, h - 1), (0, h - 1)), fill=main, outline=_mixed(main, (0, 0, 0), 0.25), width=h // 26)


def _star(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    points = []
    for k in range(10):
        r, angle = (0.5 if k % 2 == 0 else 0.21) * h, pi * k / 5 - pi / 2
        points.append((w / 2 + r * cos(angle), h * 0.52 + r * sin(angle)))
    draw.polygon(points, fill=main, outline=_mixed(main, (0, 0, 0), 0.25), width=h // 30)


def _car(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    draw.polygon(((0.2 * w, 0.45 * h), (0.32 * w, 0.08 * h), (0.68 * w, 0.08 * h), (0.84 * w, 0.45 * h)), fill=main)
    draw.polygon(((0.27 * w, 0.43 * h), (0.36 * w, 0.16 * h), (0.5 * w, 0.16 * h), (0.5 * w, 0.43 * h)), fill=(206, 226, 234))
    draw.polygon(((0.54 * w, 0.43 * h), (0.54 * w, 0.16 * h), (0.66 * w, 0.16 * h), (0.76 * w, 0.43 * h)), fill=(206, 226, 234))
    draw.rounded_rectangle((0, 0.42 * h, w - 1, 0.82 * h), 0.14 * h, fill=main)
    draw.ellipse((0.93 * w, 0.5 * h, 0.99 * w, 0.62 * h), fill=(255, 240, 190))
    for x in (0.23, 0.77):
        r = 0.2 * h
        draw.ellipse((x * w - r, 0.79 * h - r, x * w + r, 0.79 * h + r), fill=(40, 42, 48))
        draw.ellipse((x * w - r / 2, 0.79 * h - r / 2, x * w + r / 2, 0.79 * h + r / 2), fill=(186, 190, 196))


def _boat(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    draw.rectangle((0.485 * w, 0.02 * h, 0.515 * w, 0.7 * h), fill=(98, 78, 64))
    draw.polygon(((0.54 * w, 0.04 * h), (0.54 * w, 0.6 * h), (0.92 * w, 0.6 * h)), fill=(250, 246, 236))
    draw.polygon(((0.46 * w, 0.14 * h), (0.46 * w, 0.6 * h), (0.16 * w, 0.6 * h)), fill=(236, 230, 216))
    draw.polygon(((0, 0.66 * h), (w - 1, 0.66 * h), (0.84 * w, h - 1), (0.14 * w, h - 1)), fill=main)
    draw.line(((0.02 * w, 0.7 * h), (0.98 * w, 0.7 * h)), fill=(250, 246, 236), width=h // 34)


def _balloon(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    draw.line(((w / 2, 0.75 * h), (0.44 * w, 0.87 * h), (0.54 * w, h)), fill=(110, 104, 100), width=max(2, h // 50))
    draw.polygon(((w / 2, 0.72 * h), (0.4 * w, 0.82 * h), (0.6 * w, 0.82 * h)), fill=main)
    draw.ellipse((0, 0, w - 1, 0.78 * h), fill=main, outline=_mixed(main, (0, 0, 0), 0.2), width=h // 36)
    draw.ellipse((0.2 * w, 0.12 * h, 0.36 * w, 0.3 * h), fill=_mixed(main, (255, 255, 255), 0.55))


def _block(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    draw.rounded_rectangle((0, 0, w - 1, h - 1), h * 0.1, fill=_mixed(main, (0, 0, 0), 0.28))
    draw.rounded_rectangle((0.06 * w, 0.06 * h, 0.94 * w, 0.94 * h), h * 0.07, fill=main)
    draw.ellipse((0.3 * w, 0.3 * h, 0.7 * w, 0.7 * h), outline=_mixed(main, (255, 255, 255), 0.6), width=h // 14)


def _door(draw: ImageDraw.ImageDraw, w: int, h: int, main: RGB, turn: int) -> None:
    left, right, top = 0.22 * w, 0.78 * w, 0.05 * h
    draw.rectangle((left - 0.06 * w, 0, right + 0.06 * w, h), fill=(246, 242, 234))
    draw.rectangle((left, top, right, h), fill=(70, 62, 64))
    draw.polygon(((left, h), (left, 0.6 * h), (right, 0.75 * h), (right, h)), fill=(96, 84, 80))
    angle = turn / 100 * 0.45 * pi
    edge, lean = left + (right - left) * cos(angle), 0.05 * h * sin(angle)
    draw.polygon(((left, top), (edge, top - lean), (edge, h + lean), (left, h)), fill=main)
    for low, high in ((0.14, 0.46), (0.56, 0.88)):
        inner = [left + (edge - left) * share for share in (0.2, 0.8)]
        draw.polygon(
            ((inner[0], low * h), (inner[1], low * h - 0.8 * lean), (inner[1], high * h), (inner[0], high * h)),
            outline=_mixed(main, (0, 0, 0), 0.25), width=max(2, h // 120),
        )
    knob = left + (edge - left) * 0.9
    draw.ellipse((knob - 0.02 * h, 0.5 * h, knob + 0.02 * h, 0.54 * h), fill=(236, 206, 120))


_DRAWERS = {
    "ball": _ball, "square": _square, "triangle": _triangle, "star": _star, "car": _car, "boat": _boat, "balloon": _balloon, "block": _block,
    "door": _door,
}
