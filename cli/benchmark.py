"""`hardcut evaluate --benchmark`: a benchmark of nuance, its figures beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.evaluate_benchmark import evaluate_benchmark, write_asked
from hardcut.report.statistics.significance import Mean
from hardcut.reranker.nuance.figures import BenchmarkFigures
from hardcut.schemas.errors import UsageError


def benchmark(name: str, files: Sequence[Path], runs: Sequence[Path], asked: Path | None, *, as_json: bool) -> int:
    """Writes what is to be scored, or measures what was. Raises UsageError for a file that is not what it should be."""
    if not files:
        raise UsageError(f"--benchmark {name}: name its files with --file")
    if asked is not None:
        counts = write_asked(name, files, asked)
        if as_json:
            print(json.dumps({"out": str(asked), "lines": counts}, indent=2))
        else:
            for file, count in counts.items():
                print(f"{count:>12,}  {asked / file}")
        return 0
    if not runs:
        raise UsageError(f"--benchmark {name}: name a run of its scores with --run; --asked DIR writes what is scored")
    found = evaluate_benchmark(name, files, *runs)
    if as_json:
        print(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
    else:
        _print(found)
    return 0


def _print(found: Sequence[BenchmarkFigures]) -> None:
    """A row for each part and measure, a column for each run, in per cent."""
    console = output()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "measure", "queries"):
        table.add_column(column, justify="right" if column == "queries" else "left")
    for run in found:
        table.add_column(plain(run.run), justify="right")
    for at, part in enumerate(found[0].parts):
        for measure, value in part.measures.items():
            cells = (_told(run.parts[at].measures[measure]) for run in found)
            name = f"{part.part} (plain)" if part.plain else part.part
            table.add_row(plain(name), measure, f"{value.queries:,}", *cells)
    console.print(table)
    for run in found:
        lacking = sum(part.lacking for part in run.parts)
        if lacking:
            console.print(f"lacking   {plain(run.run)}: {lacking:,} scores; what is not scored comes last")


def _told(value: Mean) -> str:
    if value.mean is None or value.low is None or value.high is None:
        return "-"
    return f"{100 * value.mean:.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"
