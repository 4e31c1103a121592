"""The plots of a card, as PNG files: the teacher's margins, and where the first stage put the positives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.publish.dataset import Dataset
from hardcut.schemas.settings import JudgmentSettings

if TYPE_CHECKING:
    from PIL import ImageDraw

_SIZE = (1920, 640)  # twice what a card shows, for screens of twice the pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 120, 32, 76, 100
_FONT, _SMALL = 26, 24
_INK, _GRID, _PAPER = (40, 44, 52), (222, 225, 230), (255, 255, 255)
_COLOURS = {
    "relevant": (46, 125, 110),
    "not relevant": (198, 112, 60),
    "queries": (74, 104, 168),
    "source": (46, 125, 110),
    "mined": (74, 104, 168),
    "counterfactual": (198, 112, 60),
}
_MARGIN_LIMIT = 30
_RANKS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 1000), (1001, 10**9))


def write_plots(dataset: Dataset, folder: Path, judgments: JudgmentSettings) -> list[str]:
    """Writes the plots that there is something to show in; their names, relative to the folder's parent."""
    margins: dict[str, Counter[int]] = {"not relevant": Counter(), "relevant": Counter()}
    for _, row in dataset.rows("pairs", ("label", "logit_margin")):
        if row["logit_margin"] is not None:
            place = round(max(-_MARGIN_LIMIT, min(_MARGIN_LIMIT, row["logit_margin"])))
            margins["relevant" if row["label"] > 0 else "not relevant"][place] += 1
    ranks: Counter[int] = Counter()
    for _, row in dataset.rows("queries", ("difficulty",)):
        rank = row["difficulty"]["positive_rank"]
        if rank is not None:
            ranks[next(place for place, (low, high) in enumerate(_RANKS) if low <= rank <= high)] += 1
    folder.mkdir()
    written = []
    seen = [place for counts in margins.values() for place in counts]
    if seen:
        marks = {
            "a no is trusted up to here": judgments.trusted_below,
            "a mined yes is suspected from here": judgments.suspected_above,
        }
        low, high = round(min(*seen, *marks.values())) - 1, round(max(*seen, *marks.values())) + 1
        labels = [str(place) for place in range(low, high + 1)]
        shifted = {name: Counter({place - low: n for place, n in of.items()}) for name, of in margins.items()}
        title = "Pairs by the teacher's margin, log p(yes) - log p(no)"
        lines = {name: at - low + 0.5 for name, at in marks.items()}
        _bars(folder / "margins.png", title, labels, shifted, every=5, first=-low % 5, lines=lines, stacked=True)
        written.append(f"{folder.name}/margins.png")
    if ranks:
        labels = [
            str(low) if low == high else f"{low}-{high}" if high < 10**9 else f">{low - 1}" for low, high in _RANKS
        ]
        _bars(
            folder / "first_stage.png",
            "Queries by the first stage's rank of their positive",
            labels,
            {"queries": ranks},
        )
        written.append(f"{folder.name}/first_stage.png")
    return written


def write_margins(path: Path, margins: Mapping[str, Sequence[float]], marks: Mapping[str, float]) -> None:
    """A plot of margins by how query and video met, each kind as a share of its own pairs, with thresholds marked."""
    known = [margin for found in margins.values() for margin in found] + list(marks.values())
    limit = _MARGIN_LIMIT
    low, high = (round(max(-limit, min(limit, edge(known)))) for edge in (min, max))
    shares: dict[str, Counter[int]] = {}
    for name, found in margins.items():
        if found:
            counts = Counter(round(max(low, min(high, margin))) - low for margin in found)
            shares[name] = Counter({place: round(1000 * n / len(found)) for place, n in counts.items()})
    labels = [str(place) for place in range(low, high + 1)]
    title = "Margins, log p(yes) - log p(no), in thousandths of the pairs of each kind"
    lines = {name: at - low + 0.5 for name, at in marks.items()}
    _bars(path, title, labels, shares, every=5, first=-low % 5, lines=lines)


def _bars(
    path: Path,
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Counter[int]],
    every: int = 1,
    first: int = 0,
    lines: Mapping[str, float] | None = None,
    stacked: bool = False,
) -> None:
    """Bars side by side or upon each other, a colour a series; every so many labels are written. `lines` are drawn
    from top to bottom, at places counted in bars."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", _SIZE, _PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_FONT)
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
    step = width / len(labels)
    draw.text((_LEFT, 16), title, font=font, fill=_INK)
    heights = [sum(series.values(), Counter())] if stacked else list(series.values())
    ticks = _ticks(max(max(counts.values(), default=0) for counts in heights))
    for value in ticks:
        y = _TOP + height - round(height * value / ticks[-1])
        draw.line((_LEFT, y, _SIZE[0] - _RIGHT, y), fill=_GRID, width=2)
        draw.text((_LEFT - 16, y), f"{value:,}", font=font, fill=_INK, anchor="rm")
    for name, at in (lines or {}).items():
        line = round(_LEFT + at * step)
        draw.line((line, _TOP, line, _TOP + height), fill=_INK, width=2)
        left = line > _SIZE[0] * 2 // 3
        draw.text((line - 10 if left else line + 10, _TOP), name, font=font, fill=_INK, anchor="ra" if left else "la")
    bar = max(2.0, 0.8 * step / (1 if stacked else len(series)))
    below: Counter[int] = Counter()
    for number, (name, counts) in enumerate(series.items()):
        if len(series) > 1:
            _legend(draw, number, name)
        for place, count in sorted(counts.items()):
            left_edge = _LEFT + place * step + 0.1 * step + (0 if stacked else number * bar)
            base = _TOP + height - height * below[place] / ticks[-1]
            top = base - max(2.0, height * count / ticks[-1])  # a bar of one pair is seen too
            draw.rectangle((round(left_edge), round(top), round(left_edge + bar) - 1, round(base)), fill=_COLOURS[name])
        if stacked:
            below.update(counts)
    for place in range(first, len(labels), every):
        x = _LEFT + (place + 0.5) * step
        draw.text((x, _TOP + height + 12), labels[place], font=font, fill=_INK, anchor="ma")
    image.save(path, "PNG", optimize=True)


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
