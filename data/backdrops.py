"""Backdrops: a still picture made once a scene, and something that lives in it (clouds, waves, lit windows, steam)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import pi, sin
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hardcut.data.model import BackdropKind

RGB = tuple[int, int, int]
Life = Callable[[Image.Image, float], None]
"""Paints what moves at a time in seconds onto a copy of the still picture."""


@lru_cache(maxsize=8)
def backdrop(kind: BackdropKind, seed: int, width: int, height: int) -> tuple[Image.Image, Life]:
    """The still picture of a scene at a size, and its life. The same arguments give the same pixels."""
    return _KINDS[kind](Random(f"{kind}/{seed}"), width, height)


def _gradient(width: int, height: int, top: RGB, bottom: RGB) -> Image.Image:
    share = np.linspace(0, 1, height)[:, None, None]
    rows = np.asarray(top) * (1 - share) + np.asarray(bottom) * share
    return Image.fromarray(np.repeat(rows, width, axis=1).round().astype(np.uint8))


def _textured(image: Image.Image, rng: Random, strength: float = 2.5) -> Image.Image:
    """A still, soft grain over everything, so that flat areas look like something."""
    width, height = image.size
    noise = np.random.default_rng(rng.randrange(2**31)).normal(0, 1, (height // 3 + 1, width // 3 + 1))
    soft = Image.fromarray(noise.astype(np.float32)).resize(image.size, Image.Resampling.BICUBIC)
    grain = np.asarray(soft)[:, :, None] * strength
    return Image.fromarray((np.asarray(image, dtype=np.float32) + grain).clip(0, 255).round().astype(np.uint8))


def _smooth(width: int, height: int, paint: Callable[[ImageDraw.ImageDraw, int], None], base: Image.Image) -> Image.Image:
    """Paints at three times the size and scales down, for smooth edges. `paint` gets the scale."""
    large = base.resize((width * 3, height * 3), Image.Resampling.BILINEAR)
    paint(ImageDraw.Draw(large), 3)
    return large.resize((width, height), Image.Resampling.BOX)


def _sprite(width: int, height: int, paint: Callable[[ImageDraw.ImageDraw, int], None], blur: float = 0) -> Image.Image:
    large = Image.new("RGBA", (width * 3, height * 3), (255, 255, 255, 0))
    paint(ImageDraw.Draw(large), 3)
    small = large.resize((width, height), Image.Resampling.BOX)
    return small.filter(ImageFilter.GaussianBlur(blur)) if blur else small


def _cloud(rng: Random, height: int) -> Image.Image:
    width = height * 3
    puffs = [(rng.uniform(0.2, 0.8), rng.uniform(0.4, 0.62), rng.uniform(0.24, 0.38)) for _ in range(6)]

    def paint(draw: ImageDraw.ImageDraw, scale: int) -> None:
        for x, y, r in puffs:
            cx, cy, radius = x * width * scale, y * height * scale, r * height * scale
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=(255, 255, 255, 205))
        draw.rounded_rectangle(
            (0.14 * width * scale, 0.6 * height * scale, 0.86 * width * scale, 0.88 * height * scale), 0.14 * height * scale,
            fill=(255, 255, 255, 205),
        )

    return _sprite(width, height, paint, blur=0.6)


def _drifting_clouds(rng: Random, width: int, height: int, count: int = 3) -> Life:
    clouds = [
        (_cloud(rng, round(height * rng.uniform(0.09, 0.16))), rng.uniform(0, 1), rng.uniform(0.03, 0.24), rng.uniform(0.02, 0.045))
        for _ in range(count)
    ]

    def life(canvas: Image.Image, time_s: float) -> None:
        for sprite, start, top, speed in clouds:
            lane = width + sprite.width
            left = round((start + speed * time_s) % 1 * lane) - sprite.width
            canvas.paste(sprite, (left, round(top * height)), sprite)

    return life


def _hills(rng: Random, level: float, swing: float, width: int, height: int) -> list[tuple[float, float]]:
    waves = [(rng.uniform(0.5, 2.2), rng.uniform(0, 2 * pi), swing * rng.uniform(0.3, 1)) for _ in range(3)]
    ridge = [
        (x / 60 * width, height * (level + sum(a * sin(2 * pi * f * x / 60 + p) for f, p, a in waves))) for x in range(61)
    ]
    return [*ridge, (width, height), (0, height)]


def _meadow(rng: Random, width: int, height: int) -> tuple[Image.Image, Life]:
    sky = rng.choice((((150, 196, 226), (226, 240, 244)), ((172, 190, 222), (244, 232, 222)), ((142, 204, 214), (232, 244, 236))))
    far, near, ground = rng.choice((
        ((164, 196, 178), (142, 182, 144), (126, 168, 112)), ((178, 194, 190), (156, 184, 158), (138, 172, 122)),
    ))
    hills = [_hills(rng, 0.5, 0.05, width, height), _hills(rng, 0.6, 0.035, width, height)]
    tufts = [(rng.random() * width, height * rng.uniform(0.74, 1.0)) for _ in range(170)]
    trees = [(rng.random() * width, height * rng.uniform(0.55, 0.64), height * rng.uniform(0.03, 0.055)) for _ in range(7)]
    sun_x = rng.uniform(0.1, 0.9) * width

    def paint(draw: ImageDraw.ImageDraw, s: int) -> None:
        r = 0.07 * height * s
        draw.ellipse((sun_x * s - r, 0.14 * height * s - r, sun_x * s + r, 0.14 * height * s + r), fill=(255, 246, 214))
        for ridge, colour in zip(hills, (far, near), strict=True):
            draw.polygon([(x * s, y * s) for x, y in ridge], fill=colour)
        for x, y, size in trees:
            draw.rectangle(((x - size * 0.1) * s, y * s, (x + size * 0.1) * s, (y + size) * s), fill=(118, 100, 84))
            draw.ellipse(((x - size * 0.6) * s, (y - size) * s, (x + size * 0.6) * s, (y + size * 0.4) * s), fill=(104, 148, 108))
        draw.rectangle((0, 0.72 * height * s, width * s, height * s), fill=ground)
        for x, y in tufts:
            shade = tuple(round(c * 0.9) for c in ground)
            draw.line(((x * s, y * s), ((x + 1.5) * s, (y - 5) * s)), fill=shade, width=s)
            draw.line(((x * s, y * s), ((x - 2) * s, (y - 4) * s)), fill=shade, width=s)

    image = _smooth(width, height, paint, _gradient(width, height, *sky))
    return _textured(image, rng), _drifting_clouds(rng, width, height)


def _street(rng: Random, width: int, height: int) -> tuple[Image.Image, Life]:
    sky = rng.choice((((196, 186, 206), (246, 222, 204)), ((160, 182, 206), (232, 226, 222)), ((206, 196, 190), (246, 234, 214))))
    walls = rng.sample(((166, 152, 150), (150, 158, 170), (178, 164, 146), (148, 150, 146), (170, 150, 160)), 4)
    houses: list[tuple[float, float, float, RGB]] = []
    x = -0.03 * width
    while x < width:
        wide = rng.uniform(0.12, 0.2) * width
        houses.append((x, wide, height * rng.uniform(0.2, 0.42), walls[len(houses) % 4]))
        x += wide + 1
    panes: list[tuple[float, float, float]] = []
    for left, wide, top, _ in houses:
        pane = height * 0.045
        for column in range(int(wide // (pane * 1.9))):
            for row in range(int((0.7 * height - top) // (pane * 2))):
                panes.append((left + pane * (0.7 + 1.9 * column), top + pane * (0.8 + 2 * row), pane))
    lit = [(i, rng.uniform(0, 6), rng.uniform(3, 8)) for i in rng.sample(range(len(panes)), len(panes) // 3)]

    def paint(draw: ImageDraw.ImageDraw, s: int) -> None:
        for left, wide, top, colour in houses:
            draw.rectangle((left * s, top * s, (left + wide) * s, height * s), fill=colour)
            draw.rectangle(((left - 2) * s, top * s, (left + wide + 2) * s, (top + 4) * s), fill=tuple(round(c * 0.85) for c in colour))
        for left, top, pane in panes:
            draw.rectangle((left * s, top * s, (left + pane) * s, (top + pane * 1.25) * s), fill=(112, 118, 130))
        draw.rectangle((0, 0.74 * height * s, width * s, height * s), fill=(188, 182, 176))
        draw.rectangle((0, 0.82 * height * s, width * s, height * s), fill=(128, 128, 132))
        for k in range(9):
            draw.rectangle(((k + 0.2) * width / 8 * s, 0.905 * height * s, (k + 0.65) * width / 8 * s, 0.92 * height * s), fill=(226, 222, 210))

    def life(canvas: Image.Image, time_s: float) -> None:
        draw = ImageDraw.Draw(canvas)
        for index, phase, period in lit:
            left, top, pane = panes[index]
            if (time_s + phase) % period < period * 0.6 and top + pane * 1.25 < 0.74 * height:
                draw.rectangle((round(left), round(top), round(left + pane), round(top + pane * 1.25)), fill=(246, 222, 156))

    return _textured(_smooth(width, height, paint, _gradient(width, height, *sky)), rng), life


def _shore(rng: Random, width: int, height: int) -> tuple[Image.Image, Life]:
    sky = rng.choice((((168, 200, 220), (244, 236, 220)), ((186, 196, 216), (246, 226, 212))))
    image = _gradient(width, height, *sky)
    image.paste(_gradient(width, height - round(0.52 * height), (146, 184, 192), (98, 146, 164)), (0, round(0.52 * height)))
    cliff = _hills(rng, 0.48, 0.025, width, round(height * 0.98))
    sun_x = rng.uniform(0.15, 0.85) * width

    def paint(draw: ImageDraw.ImageDraw, s: int) -> None:
        r = 0.06 * height * s
        draw.ellipse((sun_x * s - r, 0.26 * height * s - r, sun_x * s + r, 0.26 * height * s + r), fill=(255, 244, 216))
        draw.polygon(
            [(x * s, min(y, 0.525 * height) * s) for x, y in cliff[:-2]] + [(width * s, 0.525 * height * s), (0, 0.525 * height * s)],
            fill=(164, 178, 176),
        )

    waves = [(0.56 + 0.045 * k, rng.uniform(0, 2 * pi), rng.uniform(0.5, 1.1)) for k in range(10)]
    gulls = _drifting_clouds(rng, width, height, count=2)

    def life(canvas: Image.Image, time_s: float) -> None:
        gulls(canvas, time_s)
        draw = ImageDraw.Draw(canvas)
        for level, phase, speed in waves:
            points = [
                (x * width / 48, height * (level + 0.006 * sin(x * 0.9 + phase + speed * time_s * 2))) for x in range(49)
            ]
            for k in range(0, 48, 4):
                draw.line(points[k : k + 3], fill=(198, 220, 222), width=max(1, height // 180))

    return _textured(_smooth(width, height, paint, image), rng), life


def _room(rng: Random, width: int, height: int) -> tuple[Image.Image, Life]:
    wall, stripe, floor = rng.choice((
        ((226, 216, 200), (219, 208, 191), (176, 150, 122)), ((206, 214, 212), (199, 207, 205), (162, 142, 122)),
        ((222, 208, 208), (215, 200, 200), (168, 146, 130)),
    ))
    window = (round(0.1 * width), round(0.16 * height), round(0.3 * width), round(0.52 * height))

    def paint(draw: ImageDraw.ImageDraw, s: int) -> None:
        for k in range(0, 32, 2):
            draw.rectangle((k * width / 32 * s, 0, (k + 1) * width / 32 * s, 0.76 * height * s), fill=stripe)
        draw.rectangle((0, 0.76 * height * s, width * s, 0.785 * height * s), fill=(244, 240, 232))
        draw.rectangle((0, 0.785 * height * s, width * s, height * s), fill=floor)
        for k in range(1, 5):
            y = (0.785 + 0.05 * k) * height * s
            draw.line(((0, y), (width * s, y)), fill=tuple(round(c * 0.9) for c in floor), width=s)
        left, top, right, bottom = (value * s for value in window)
        draw.rectangle((left - 5 * s, top - 5 * s, right + 5 * s, bottom + 5 * s), fill=(246, 242, 234))
        draw.rectangle((left, top, right, bottom), fill=(190, 216, 230))
        x, y = 0.86 * width * s, 0.24 * height * s
        r = 0.085 * height * s
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(248, 246, 240), outline=(120, 104, 90), width=2 * s)

    image = _textured(_smooth(width, height, paint, _gradient(width, height, wall, tuple(c - 8 for c in wall))), rng)  # type: ignore[arg-type]
    pane = image.crop(window)
    clouds = _drifting_clouds(rng, pane.width, pane.height, count=3)
    offset = rng.uniform(0, 30)

    def life(canvas: Image.Image, time_s: float) -> None:
        view = pane.copy()
        clouds(view, time_s * 2)
        bars = ImageDraw.Draw(view)
        bars.line(((pane.width // 2, 0), (pane.width // 2, pane.height)), fill=(246, 242, 234), width=3)
        bars.line(((0, pane.height // 2), (pane.width, pane.height // 2)), fill=(246, 242, 234), width=3)
        canvas.paste(view, window[:2])
        draw = ImageDraw.Draw(canvas)
        x, y, r = 0.86 * width, 0.24 * height, 0.07 * height
        for period, reach in ((60.0, 0.9), (720.0, 0.6)):
            angle = 2 * pi * (time_s + offset * 12) / period
            draw.line(((x, y), (x + r * reach * sin(angle), y - r * reach * sin(angle + pi / 2))), fill=(70, 62, 58), width=2)

    return image, life


def _studio(rng: Random, width: int, height: int) -> tuple[Image.Image, Life]:
    inner, outer = rng.choice((((124, 138, 150), (62, 72, 86)), ((142, 130, 142), (72, 64, 78)), ((126, 142, 132), (60, 74, 68))))
    ys, xs = np.mgrid[0:height, 0:width]
    far = np.clip(np.hypot((xs / width - 0.5) / 0.75, (ys / height - 0.4) / 0.8), 0, 1)[:, :, None]
    image = Image.fromarray((np.asarray(inner) * (1 - far) + np.asarray(outer) * far).round().astype(np.uint8))
    lights = []
    for _ in range(7):
        size = round(height * rng.uniform(0.1, 0.26))

        def paint(draw: ImageDraw.ImageDraw, s: int, size: int = size) -> None:
            draw.ellipse((size * 0.15 * s, size * 0.15 * s, size * 0.85 * s, size * 0.85 * s), fill=(255, 250, 235, 30))

        lights.append((_sprite(size, size, paint, blur=2), rng.random(), rng.random(), rng.uniform(0, 2 * pi)))

    def life(canvas: Image.Image, time_s: float) -> None:
        for sprite, x, y, phase in lights:
            left = (x + 0.04 * sin(time_s * 0.7 + phase)) * width - sprite.width / 2
            top = (y + 0.04 * sin(time_s * 0.5 + 2 * phase)) * height - sprite.height / 2
            canvas.paste(sprite, (round(left), round(top)), sprite)

    return _textured(image, rng, 1.5), life


def _kitchen(rng: Random, width: int, height: int) -> tuple[Image.Image, Life]:
    tile, grout, top = rng.choice((
        ((222, 226, 222), (204, 210, 208), (150, 118, 92)), ((226, 218, 206), (208, 200, 188), (122, 116, 116)),
        ((208, 220, 226), (192, 204, 212), (160, 130, 104)),
    ))
    pots = [(rng.uniform(0.12, 0.3) + 0.5 * k, rng.uniform(0.09, 0.13), rng.choice(((92, 98, 106), (140, 96, 84), (104, 120, 112)))) for k in range(2)]

    def paint(draw: ImageDraw.ImageDraw, s: int) -> None:
        size = width / 16 * s
        for row in range(int(0.8 * height * s // (size / 2)) + 1):
            for column in range(-1, 17):
                left = (column + 0.5 * (row % 2)) * size
                draw.rounded_rectangle(
                    (left + s, row * size / 2 + s, left + size - s, (row + 1) * size / 2 - s), 2 * s,
                    fill=tuple(c + (row * 7 + column * 3) % 5 - 2 for c in tile),
                )
        draw.rectangle((0, 0.82 * height * s, width * s, height * s), fill=top)
        draw.rectangle((0, 0.82 * height * s, width * s, 0.835 * height * s), fill=tuple(c + 22 for c in top))
        for x, half, colour in pots:
            left, right, brim, base = (x - half) * width * s, (x + half) * width * s, 0.66 * height * s, 0.83 * height * s
            draw.rounded_rectangle((left, brim, right, base), 0.03 * height * s, fill=colour)
            draw.rectangle((left - 5 * s, brim, right + 5 * s, brim + 6 * s), fill=tuple(c + 24 for c in colour))

    image = _textured(_smooth(width, height, paint, Image.new("RGB", (width, height), grout)), rng, 1.5)
    size = round(height * 0.13)

    def puff(draw: ImageDraw.ImageDraw, s: int) -> None:
        draw.ellipse((size * 0.2 * s, size * 0.2 * s, size * 0.8 * s, size * 0.8 * s), fill=(255, 255, 255, 84))

    steam = _sprite(size, size, puff, blur=3)
    columns = [(x + rng.uniform(-0.5, 0.5) * half, rng.random()) for x, half, _ in pots for _ in range(3)]

    def life(canvas: Image.Image, time_s: float) -> None:
        for x, phase in columns:
            risen = (phase + 0.35 * time_s) % 1
            left = (x + 0.012 * sin(9 * risen + 6 * phase)) * width - size / 2
            canvas.paste(steam, (round(left), round((0.66 - 0.3 * risen) * height - size)), steam)

    return image, life


_KINDS: dict[BackdropKind, Callable[[Random, int, int], tuple[Image.Image, Life]]] = {
    "meadow": _meadow, "street": _street, "shore": _shore, "room": _room, "studio": _studio, "kitchen": _kitchen,
}
