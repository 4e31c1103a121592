"""`hardcut export`: a run's folder in, a Hugging Face dataset out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from hardcut.cli.gate import print_gate
from hardcut.cli.terminal import output, plain
from hardcut.pipeline.run_export import Choices, export_as, export_run
from hardcut.publish.checks.result import CheckResult
from hardcut.publish.export_dataset import ExportSummary
from hardcut.publish.gate import stopped
from hardcut.schemas.errors import UsageError


def export(run: Path, out: Path, choices: Choices, format: str, *, as_json: bool) -> int:
    """Writes the dataset and says what is in it; 1 where a check of the gate failed.

    Raises UsageError for a run that is not there or not finished.
    """
    if format == "hf" and choices.videos is not None:
        raise UsageError("--videos: a dataset's paths stay relative; it is for --format, and --with-media packs clips")
    if format == "hf":
        found = export_run(run, out, choices)
        gate, body = (
            found.gate,
            {"dataset": str(found.out), "version": found.version, "rows": found.rows, "left_out": found.left_out},
        )
        body["unpacked"] = found.unpacked
    else:
        converted = export_as(format, run, out, choices)
        gate, body = converted.gate, {"out": str(out), "format": format, "rows": converted.rows}
        body["left_out"] = converted.left_out
    if as_json:
        print(json.dumps({**body, "gate": [result.as_json() for result in gate]}, indent=2))
    elif format == "hf":
        print_export(found)
    else:
        for name, count in converted.rows.items():
            print(f"{count:>12,}  {out / name}")
        for reason, count in converted.left_out.items():
            print(f"left out  {count:,} {reason}")
        print_gate(stopped(gate))
    return _status(gate)


def _status(gate: Sequence[CheckResult]) -> int:
    """1 where a check failed; one that could not look stands in the way of publishing alone."""
    return 1 if any(result.state == "failed" for result in gate) else 0


def print_export(found: ExportSummary) -> None:
    """Rows by config and split, and what was left out."""
    splits = sorted({split for rows in found.rows.values() for split in rows}, key=_split_order)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("config")
    for split in splits:
        table.add_column(split, justify="right")
    for config, rows in found.rows.items():
        table.add_row(config, *(f"{rows.get(split, 0):,}" for split in splits))
    console = output()
    console.print(table)
    for reason, count in found.left_out.items():
        console.print(f"left out  {count:,} pairs: {reason}")
    for reason, count in found.unpacked.items():
        console.print(f"no clip   of {count:,} videos: {reason}")
    wrong = stopped(found.gate)
    if wrong:
        print_gate(wrong)
        console.print(f"gate      {len(wrong)} of {len(found.gate)} checks stand in the way of publishing (see above)")
    else:
        console.print(f"gate      {len(found.gate)} checks passed")
    after = f", after {found.before}" if found.before != found.version else " as before: no row and no setting changed"
    told = f"{after}; splits are kept, --new-splits draws them anew" if found.before else ""
    console.print(f"version   {found.version}{told}")
    console.print(f"dataset   {plain(str(found.out))}")


def _split_order(split: str) -> int:
    return ("train", "validation", "test").index(split)
