"""`hardcut thresholds`: where a1 and a2 should lie, out of a run's own margins, with a plot to set them by."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from hardcut.cli.terminal import output
from hardcut.engine.run_files import RunFiles
from hardcut.publish.thresholds import Margins, Point, Thresholds, choose, margins_of
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Pair, TeacherLabel

PLOT = "thresholds.png"
_ROWS = 12
_BAR = 24


def thresholds(run: Path, target: float, *, as_json: bool) -> int:
    """Prints the choice and writes the plot beside the run's files; 0, or 1 where the run has too few pairs to tell.

    Raises UsageError where there are no labels yet.
    """
    margins = read_margins(run)
    chosen = choose(margins, target)
    from hardcut.publish.plots import write_margins

    now = load_settings(run / "run.toml").judgments
    marks = {"a1": chosen.trusted_below, "a2": chosen.suspected_above}
    write_margins(run / PLOT, asdict(margins), {name: at for name, at in marks.items() if at is not None})
    if as_json:
        body = {**asdict(chosen), "curve": [asdict(point) for point in _some(chosen.curve)]}
        in_force = {"trusted_below": now.trusted_below, "suspected_above": now.suspected_above}
        pairs = {name: len(found) for name, found in asdict(margins).items()}
        print(json.dumps({**body, "pairs": pairs, "in_force": in_force, "plot": str(run / PLOT)}, indent=2))
    else:
        _print(run, margins, chosen)
        in_force_text = f"trusted_below = {now.trusted_below:g}, suspected_above = {now.suspected_above:g}"
        output().print(f"in force  {in_force_text}")
        output().print(f"plot      {run / PLOT}")
    return 0 if chosen.suspected_above is not None else 1


def read_margins(run: Path) -> Margins:
    """The margins of a run's pairs."""
    files = RunFiles(run)
    if not files.has(TeacherLabel):
        raise UsageError(f"{run}: no pair was judged yet: `hardcut run` judges them in its stage scores")
    labels: defaultdict[str, list[TeacherLabel]] = defaultdict(list)
    for label in files.read(TeacherLabel):
        labels[label.pair_id].append(label)
    return margins_of(files.read(Pair), labels)


def _print(run: Path, margins: Margins, chosen: Thresholds) -> None:
    console = output()
    console.print(_histogram({name: found for name, found in asdict(margins).items() if found}))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("mined pairs kept up to", "kept", "of all", "false negatives among them", "at most"):
        table.add_column(column, justify="right")
    for point in _some(chosen.curve):
        share = point.kept / len(margins.mined)
        cells = f"{point.margin:g}", f"{point.kept:,}", f"{share:.0%}", f"{point.estimate:.2%}", f"{point.bound:.2%}"
        table.add_row(*cells)
    console.print(table)
    console.print(f"at most {chosen.positives:.1%} of the mined pairs are positives that nobody has found yet")
    if chosen.suspected_above is None:
        console.print(
            f"no threshold keeps false negatives under {chosen.target:.1%} for sure: judge more queries, or review "
            "mined pairs; source pairs with low margins may be bad queries"
        )
        return
    console.print(f"for at most {chosen.target:.1%} of false negatives, put this into the settings and run again:")
    console.print("\\[judgments]")
    console.print(f"trusted_below = {chosen.trusted_below}")
    console.print(f"suspected_above = {chosen.suspected_above}")


def _histogram(margins: Mapping[str, Sequence[float]]) -> Table:
    """Margins by kind, in bins of one width, each bar a share of the tallest bin of its kind."""
    low, high = (edge(margin for found in margins.values() for margin in found) for edge in (min, max))
    width = max((high - low) / _ROWS, 1e-9)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("margin", justify="right")
    counts = {}
    for name, found in margins.items():
        table.add_column(f"{name} ({len(found):,})")
        counts[name] = Counter(min(int((margin - low) / width), _ROWS - 1) for margin in found)
    for row in range(_ROWS):
        bars = [_bar(found[row], max(found.values())) for found in counts.values()]
        table.add_row(f"{low + row * width:.1f} to {low + (row + 1) * width:.1f}", *bars)
    return table


def _bar(count: int, tallest: int) -> str:
    return f"{'█' * round(_BAR * count / tallest)} {count:,}" if count else ""


def _some(curve: Sequence[Point]) -> list[Point]:
    """A dozen points of the curve, evenly spread over it."""
    if len(curve) <= _ROWS:
        return list(curve)
    return [curve[round(row * (len(curve) - 1) / (_ROWS - 1))] for row in range(_ROWS)]
