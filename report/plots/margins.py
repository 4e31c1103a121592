"""The geometry of the report's plots, in percent of their width; the template draws them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hardcut.report.run_data import MARGIN_LIMIT, MARGIN_STEP, RELATIONS, MarginCounts, Relation
from hardcut.schemas.records import Span
from hardcut.schemas.text.times import clock_time

BINS = 48


@dataclass(frozen=True, slots=True)
class Tick:
    """A number on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: where it stands, how high each verdict is (percent of the tallest bin of the row), and how many."""

    left: float
    width: float
    low: float
    high: float
    no: int
    yes: int
    no_height: float
    yes_height: float


@dataclass(frozen=True, slots=True)
class Row:
    """The histogram of one kind of pair."""

    relation: Relation
    bars: tuple[Bar, ...]
    tallest: int
    yes: int
    no: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Rows that share an axis, with both thresholds; a threshold outside of the axis is `None`."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    trusted: float
    suspected: float
    clipped: bool


def histogram(margins: MarginCounts, trusted_below: float, suspected_above: float) -> Histogram | None:
    """The margins by kind of pair and verdict on an axis that shows both thresholds; `None` where there are none."""
    steps = [step for counts in margins.counts.values() for step in counts]
    if not steps:
        return None
    lowest = min(*steps, round(_clamp(trusted_below) / MARGIN_STEP) - 4)
    highest = max(*steps, round(_clamp(suspected_above) / MARGIN_STEP) + 4)
    per_bin = next(size for size in (1, 2, 4, 8, 16) if (highest - lowest) // size < BINS or size == 16)
    first, last = lowest // per_bin, highest // per_bin
    low, high = first * per_bin * MARGIN_STEP, (last + 1) * per_bin * MARGIN_STEP

    def at(margin: float) -> float:
        return round(100 * (_clamp(margin) - low) / (high - low), 3)

    rows = []
    for relation in RELATIONS:
        no = _binned(margins.counts.get((relation, "no"), Counter()), per_bin)
        yes = _binned(margins.counts.get((relation, "yes"), Counter()), per_bin)
        if not no and not yes:
            continue
        tallest = max(no[place] + yes[place] for place in {*no, *yes})
        width = at(low + per_bin * MARGIN_STEP)
        bars = tuple(
            Bar(
                left=at(place * per_bin * MARGIN_STEP),
                width=width,
                low=place * per_bin * MARGIN_STEP,
                high=(place + 1) * per_bin * MARGIN_STEP,
                no=no[place],
                yes=yes[place],
                no_height=round(100 * no[place] / tallest, 2),
                yes_height=round(100 * yes[place] / tallest, 2),
            )
            for place in sorted({*no, *yes})
        )
        rows.append(Row(relation, bars, tallest, yes.total(), no.total()))
    ticks = tuple(Tick(at(value), f"{value:g}") for value in _round_numbers(low, high))
    clipped = min(steps) <= -MARGIN_LIMIT / MARGIN_STEP or max(steps) >= MARGIN_LIMIT / MARGIN_STEP
    return Histogram(tuple(rows), ticks, at(trusted_below), at(suspected_above), clipped)


def place(span: Span, duration: float) -> tuple[float, float]:
    """Where a span lies on a video's time line: left and width in percent, wide enough to be seen."""
    whole = max(duration, span.end, 0.001)
    width = max(100 * (span.end - span.start) / whole, 1.0)
    return round(min(100 * span.start / whole, 100 - width), 2), round(width, 2)


def time_ticks(duration: float) -> tuple[Tick, ...]:
    """Four to eight round times on a video's time line, the start included."""
    return tuple(
        Tick(round(100 * value / max(duration, 0.001), 2), clock_time(value))
        for value in _round_numbers(0.0, duration, times=True)
    )


def _binned(counts: Counter[int], per_bin: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for step, count in counts.items():
        found[step // per_bin] += count
    return found


def _clamp(margin: float) -> float:
    return min(max(margin, -MARGIN_LIMIT), MARGIN_LIMIT)


def _round_numbers(low: float, high: float, times: bool = False) -> list[float]:
    sizes = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200) if times else (0.5, 1, 2, 5, 10, 20)
    size = next((size for size in sizes if (high - low) / size <= (8 if times else 12)), None)
    if size is None:
        size = sizes[-1] * -(-(high - low) // (8 * sizes[-1]))
    first = -(-low // size)
    return [(first + place) * size for place in range(int((high - first * size) // size) + 1)]
