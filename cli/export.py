"""`hardcut export`: a run's folder in, a Hugging Face dataset out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from hardcut.annotate.agreement import Agreement, agreement, blind_answers
from hardcut.cli.gate import print_gate
from hardcut.cli.terminal import output, plain
from hardcut.engine.status import read_status
from hardcut.publish._folder import MARKER
from hardcut.publish.checks.result import CheckResult
from hardcut.publish.dataset import Dataset
from hardcut.publish.export import ExportOptions, ExportSummary
from hardcut.publish.export import export as write_dataset
from hardcut.publish.formats.registry import convert
from hardcut.publish.gate import check, gate_settings, stopped
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Review


@dataclass(frozen=True, slots=True)
class Choices:
    """The options of the command. `media` is the folder of the videos, to pack the clips that may be passed on."""

    config: Path | None = None
    format: str = "hf"
    allow: tuple[str, ...] = ()
    media: Path | None = None
    min_difficulty: float | None = None


def export(run: Path, out: Path, choices: Choices, *, as_json: bool) -> int:
    """Writes the dataset and says what is in it; 1 where a check of the gate failed.

    Raises UsageError for a run that is not there or not finished.
    """
    if choices.format != "hf":
        return _export_as(run, out, choices, as_json=as_json)
    found = export_run(run, out, choices)
    if as_json:
        told = {"dataset": str(found.out), "rows": found.rows, "left_out": found.left_out, "unpacked": found.unpacked}
        print(json.dumps({**told, "gate": [asdict(result) for result in found.gate]}, indent=2))
    else:
        print_export(found)
    return _status(found.gate)


def export_run(run: Path, out: Path, choices: Choices = Choices()) -> ExportSummary:
    """The dataset of a finished run, under the run's own settings unless others are given.

    Raises UsageError for a run that is not there or not finished.
    """
    if (run / MARKER).is_file():
        raise UsageError(f"{run} is a dataset already: name its run, or another format for it with --format")
    status = read_status(run)
    if not status.finished:
        waiting = ", ".join(stage.name for stage in status.stages if not stage.finished)
        raise UsageError(f"{run}: the run is not finished ({waiting}): start `hardcut run` again to finish it")
    overrides = {"export.min_difficulty": choices.min_difficulty}
    settings = load_settings(choices.config or run / "run.toml", overrides)
    failed = {stage.name: stage.failed for stage in status.stages}
    agreed = _agreement(run)
    options = ExportOptions(choices.allow, choices.media, agreed)
    return write_dataset(run, out, settings, failed, options)


def _agreement(run: Path) -> Agreement | None:
    path = run / Review.FILE
    return agreement(blind_answers(read_records(path, Review))) if path.exists() else None


def _export_as(run: Path, out: Path, choices: Choices, *, as_json: bool) -> int:
    """A format of others, out of a dataset or of a run. The gate looks at either; what was overridden when the dataset
    was exported stays so."""
    if choices.media is not None:
        raise UsageError(f"--with-media: {choices.format} holds no clips; leave it out")
    gate: Sequence[CheckResult]
    with tempfile.TemporaryDirectory(prefix="hardcut-") as folder:
        if (run / MARKER).is_file():
            if choices.min_difficulty is not None:
                raise UsageError(f"--min-difficulty: {run} is a dataset already: export its run again with it")
            dataset = Dataset(run)
            settings = load_settings(choices.config) if choices.config else gate_settings(dataset)
            before = [name for name, state in dataset.marker.get("gate", {}).items() if state == "allowed"]
            gate = check(dataset, settings, [*choices.allow, *before])
        else:
            dataset = Dataset(Path(folder) / "dataset")
            gate = export_run(run, dataset.folder, choices).gate
        counts = convert(dataset, choices.format, out)
    if as_json:
        told = {"out": str(out), "format": choices.format, "rows": counts, "gate": [asdict(result) for result in gate]}
        print(json.dumps(told, indent=2))
    else:
        for name, count in counts.items():
            print(f"{count:>12,}  {out / name}")
        print_gate(stopped(gate))
    return _status(gate)


def _status(gate: Sequence[CheckResult]) -> int:
    """1 where a check failed; one that could not be run stands in the way of publishing alone."""
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
    console.print(f"dataset   {plain(str(found.out))}")


def _split_order(split: str) -> int:
    return ("train", "validation", "test").index(split)
