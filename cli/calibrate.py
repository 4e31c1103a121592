"""`hardcut calibrate`: what a teacher's margins are worth, fitted on the pairs that people judged."""

from __future__ import annotations

import json
from pathlib import Path

from rich.table import Table

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.calibrate import calibrate_run, thresholds_of
from hardcut.report.statistics.calibration import Calibration, Figures


def calibrate(run: Path, *, blind: bool, as_json: bool) -> int:
    """Calibrates and prints the figures."""
    done = calibrate_run(run, blind=blind)
    if as_json:
        body = {
            "teachers": [each.model_dump(mode="json") for each in done.teachers],
            "applied": {each.teacher: each.applied for each in done.teachers},
            "refusals": {each.teacher: each.refusal for each in done.teachers if each.refusal},
            "thresholds": {each.teacher: thresholds_of(each) for each in done.teachers},
            "mixed": done.mixed,
            "file": str(done.file),
            "diagrams": list(map(str, done.diagrams)),
        }
        print(json.dumps(body, ensure_ascii=False))
        return 0
    console = output()
    for path, each in zip(done.diagrams, done.teachers, strict=True):
        console.print(_table(each))
        console.print(f"not applied: {each.refusal}" if each.refusal else f"applied: {each.applied}", soft_wrap=True)
        for name, value in thresholds_of(each).items():
            number = "not known: too few judged" if value is None else format(value, ".2f")
            console.print(f"judgments.{name} = {number}")
        console.print(f"diagram {path}", soft_wrap=True)
    if done.mixed:
        console.print(f"note    {plain(done.mixed)}: have those of one of them scored again", soft_wrap=True)
    console.print(f"written {done.file}: raw margins stay as they are", soft_wrap=True)
    return 0


def _table(found: Calibration) -> Table:
    title = f"{found.teacher}: temperature {found.temperature:.3g}, intercept {found.intercept:.3g}"
    if found.left_out:
        title += f", {found.left_out} without an exact margin left out"
    table = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in ("kind", "pairs", "relevant", "AUC", "", "ECE", "Brier"):
        table.add_column(column, justify="right" if column not in ("kind", "") else "left")
    for kind, by_method in (("all", found.overall), *found.by_kind.items()):
        for method, figures in by_method.items():
            first = method == "raw"
            auc = "-" if figures.auc is None else f"{figures.auc:.3f}"
            head = (kind, str(figures.pairs), str(figures.relevant)) if first else ("", "", "")
            table.add_row(*head, auc, method, *_cells(figures))
    return table


def _cells(figures: Figures) -> tuple[str, str]:
    return f"{figures.ece:.3f}", f"{figures.brier:.3f}"
