"""`hardcut export`: a run's folder in, a Hugging Face dataset out."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hardcut.engine.status import read_status
from hardcut.publish.export import ExportSummary
from hardcut.publish.export import export as write_dataset
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError


def export(run: Path, out: Path, config: Path | None, *, as_json: bool) -> int:
    """Writes the dataset and says what is in it. Raises UsageError for a run that is not there or not finished."""
    found = export_run(run, out, config)
    if as_json:
        print(json.dumps({"dataset": str(found.out), "rows": found.rows, "left_out": found.left_out}, indent=2))
    else:
        print_export(found)
    return 0


def export_run(run: Path, out: Path, config: Path | None = None) -> ExportSummary:
    """The dataset of a finished run, under the run's own settings unless others are given."""
    status = read_status(run)
    if not status.finished:
        waiting = ", ".join(stage.name for stage in status.stages if not stage.finished)
        raise UsageError(f"{run}: the run is not finished ({waiting}): start `hardcut run` again to finish it")
    settings = load_settings(config or run / "run.toml")
    return write_dataset(run, out, settings, {stage.name: stage.failed for stage in status.stages})


def print_export(found: ExportSummary) -> None:
    """Rows by config and split, and what was left out."""
    splits = sorted({split for rows in found.rows.values() for split in rows}, key=_split_order)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("config")
    for split in splits:
        table.add_column(split, justify="right")
    for config, rows in found.rows.items():
        table.add_row(config, *(f"{rows.get(split, 0):,}" for split in splits))
    console = Console()
    console.print(table)
    for reason, count in found.left_out.items():
        console.print(f"left out  {count:,} pairs: {reason}")
    console.print(f"dataset   {found.out}", soft_wrap=True)


def _split_order(split: str) -> int:
    return ("train", "validation", "test").index(split)
