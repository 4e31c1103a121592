"""Bar plots as PNG files, for cards and folders, where a page's SVG is not shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.engine.files import atomic_writer

if TYPE_CHECKING:
    from PIL import ImageDraw

_SIZE = (1920, 640)  # twice what a card shows, for screens of twice the pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 120, 32, 76, 100
_HEIGHT = _SIZE[1] - _TOP - _BOTTOM
_FONT, _SMALL = 26, 24
_INK, _GRID, _PAPER = (40, 44, 52), (222, 225, 230), (255, 255, 255)
_COLOURS = {
    "relevant": (46, 125, 110),
    "not relevant": (198, 112, 60),
    "queries": (74, 104, 168),
    "answered": (46, 125, 110),
    "the answer": (46, 125, 110),
    "the other": (198, 112, 60),
    "unanswered": (198, 112, 60),
    "source": (46, 125, 110),
    "mined": (74, 104, 168),
    "counterfactual": (198, 112, 60),
}


def write_bars(
    path: Path,
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Counter[int]],
    every: int = 1,
    first: int = 0,
    lines: Mapping[str, float] | None = None,
    stacked: bool = False,
) -> None:
    """A PNG of bars side by side or upon each other, a colour a series; every so many labels are written. `lines` are
    drawn from top to bottom, at places counted in bars."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", _SIZE, _PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_FONT)
    step = (_SIZE[0] - _LEFT - _RIGHT) / len(labels)
    draw.text((_LEFT, 16), title, font=font, fill=_INK)
    heights = [sum(series.values(), Counter())] if stacked else list(series.values())
    ticks = _ticks(max(max(counts.values(), default=0) for counts in heights))
    for value in ticks:
        y = _TOP + _HEIGHT - round(_HEIGHT * value / ticks[-1])
        draw.line((_LEFT, y, _SIZE[0] - _RIGHT, y), fill=_GRID, width=2)
        draw.text((_LEFT - 16, y), f"{value:,}", font=font, fill=_INK, anchor="rm")
    for name, at in (lines or {}).items():
        line = round(_LEFT + at * step)
        draw.line((line, _TOP, line, _TOP + _HEIGHT), fill=_INK, width=2)
        left = line > _SIZE[0] * 2 // 3
        draw.text((line - 10 if left else line + 10, _TOP), name, font=font, fill=_INK, anchor="ra" if left else "la")
    _draw_bars(draw, series, step, ticks[-1], stacked)
    for place in range(first, len(labels), every):
        x = _LEFT + (place + 0.5) * step
        draw.text((x, _TOP + _HEIGHT + 12), labels[place], font=font, fill=_INK, anchor="ma")
    with atomic_writer(path, "wb") as file:
        image.save(file, "PNG", optimize=True)


def _draw_bars(
    draw: ImageDraw.ImageDraw, series: Mapping[str, Counter[int]], step: float, most: int, stacked: bool
) -> None:
    """The bars and, of several series, what each colour stands for. `step` are the pixels from a place to the next,
    `most` is the count whose bar would be as high as the plot."""
    bar = max(2.0, 0.8 * step / (1 if stacked else len(series)))
    below: Counter[int] = Counter()
    for number, (name, counts) in enumerate(series.items()):
        if len(series) > 1:
            _legend(draw, number, name)
        for place, count in sorted(counts.items()):
            left_edge = _LEFT + place * step + 0.1 * step + (0 if stacked else number * bar)
            base = _TOP + _HEIGHT - _HEIGHT * below[place] / most
            top = base - max(2.0, _HEIGHT * count / most)  # a bar of one pair is seen too
            draw.rectangle((round(left_edge), round(top), round(left_edge + bar) - 1, round(base)), fill=_COLOURS[name])
        if stacked:
            below.update(counts)


def _ticks(most: int) -> list[int]:
    """Round numbers from 0 to the first that is not less than `most`: 1, 2 or 5 times a power of ten apart."""
    step = next(
        size * 10**power for power in range(20) for size in (1, 2, 5) if size * 10**power * 5 >= most
    )  # fmt: skip
    return list(range(0, max(1, -(-most // step)) * step + 1, step))


def _legend(draw: ImageDraw.ImageDraw, number: int, name: str) -> None:
    from PIL import ImageFont

    x, y = _LEFT + number * 260, _SIZE[1] - 26
    draw.rectangle((x, y - 10, x + 20, y + 10), fill=_COLOURS[name])
    draw.text((x + 32, y), name, font=ImageFont.load_default(_SMALL), fill=_INK, anchor="lm")
