"""`hardcut status`, and the summary that ends every run: what is done, dropped, failed and spent."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hardcut.cli.terminal import output, plain
from hardcut.engine.run_files import RunFiles
from hardcut.engine.run_lock import is_worked_on
from hardcut.engine.status import FailedUnit, RunStatus, read_status
from hardcut.report.spending import SpendLine, spend_lines
from hardcut.schemas.config import load_settings
from hardcut.schemas.guards import GUARDS, Unchecked
from hardcut.schemas.records import Dropped
from hardcut.schemas.settings import Settings

_EVERY_S = 2.0
_SHOWN = 5
_LISTED = 20
_ALL = 1_000_000


def status(run: Path, *, list_failed: bool, as_json: bool) -> int:
    """Prints where a run stands; 0, or 1 where items failed."""
    found = read_status(run, limit=_ALL if list_failed else 20)
    print_summary(run, found, as_json=as_json, list_failed=list_failed)
    return exit_status(found)


def watch(run: Path, every_s: float = _EVERY_S) -> int:
    """Shows where a run stands, anew every few seconds, for as long as a process works on it; then as `status`."""
    read_status(run)  # says where there is none
    with Live(console=output(), auto_refresh=False) as live:
        while is_worked_on(run):
            live.update(stage_table(read_status(run)), refresh=True)
            time.sleep(every_s)
    return status(run, list_failed=False, as_json=False)


def exit_status(found: RunStatus) -> int:
    """0 where nothing failed, 1 where something did."""
    return 1 if any(stage.failed for stage in found.stages) else 0


def print_summary(run: Path, found: RunStatus, *, as_json: bool, list_failed: bool = False) -> None:
    """The table of stages with the reasons of what was dropped and the items that failed, or all of it as JSON."""
    reasons = _drop_reasons(run)
    if as_json:
        print(json.dumps(summary(run, found, reasons), indent=2, ensure_ascii=False))
        return
    console = output()
    console.print(stage_table(found))
    if reasons:
        console.print("[bold]dropped[/]")
        for (stage, reason), count in sorted(reasons.items()):
            console.print(f"  {count:>6}  {stage}: {plain(reason)}")
    for guard, items in unchecked_items(run).items():
        console.print(f"[bold red]could not look[/] {guard} ({len(items)})")
        for told in items[:_SHOWN]:
            console.print(f"  {plain(told)}")
        if len(items) > _SHOWN:
            console.print(f"  ... {len(items) - _SHOWN} more: {plain(str(run / Unchecked.FILE))}")
    if found.failed:
        total = len(found.failed) + found.failed_more
        shown = found.failed if list_failed else found.failed[:_SHOWN]
        console.print(f"[bold red]failed[/] ({total})")
        for item in shown:
            _print_failed(console, item, with_raw=list_failed)
        if total > len(shown):
            console.print(f"  ... {total - len(shown)} more: `hardcut status {plain(str(run))} --failed`")
        console.print("  after mending what can be mended: the same `hardcut run` again with --retry-failed")
    lines = spend_lines(found.spend, _settings(run))
    for line in lines:
        console.print(f"spent   {line.stage}: {line.calls:,} calls to {plain(line.teacher)}{_took(line)}")
    if any(line.money is not None for line in lines):
        spent = sum(line.money or 0.0 for line in lines)
        console.print(f"        {spent:,.2f} in all, at the prices of the run's settings")
    if estimated := sum(line.estimated_tokens for line in lines):
        console.print(f"        {estimated:,} tokens are an estimate: the server did not say what these calls took")
    report = run / "report.html"
    if report.exists():
        console.print(f"report  {plain(str(report))}")


def summary(run: Path, found: RunStatus, reasons: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """The summary as plain JSON values; `money` is null where the settings name no price."""
    return {
        "run": str(run),
        "finished": found.finished,
        "stages": [asdict(stage) for stage in found.stages],
        "dropped": [
            {"stage": stage, "reason": reason, "count": count} for (stage, reason), count in sorted(reasons.items())
        ],
        "unchecked": [
            {"guard": guard, "count": len(items), "items": items[:_LISTED]}
            for guard, items in unchecked_items(run).items()
        ],
        "failed": [asdict(item) for item in found.failed],
        "failed_more": found.failed_more,
        "spend": [asdict(line) for line in spend_lines(found.spend, _settings(run))],
        "report": str(run / "report.html"),
    }


def unchecked_items(run: Path) -> dict[str, list[str]]:
    """What each guard of the run could not look at, and why, in words; guards that could look at all are left out."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for record in RunFiles(run).read(Unchecked):
        found[record.guard].append(f"{record.item!r}: {record.detail}")
    return {guard.name: found[guard.name] for guard in GUARDS if guard.name in found}


def stage_table(found: RunStatus) -> Table:
    """One row a stage: units in = done + dropped + failed + pending, then the records that it made."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    for column in ("in", "done", "dropped", "failed", "pending"):
        table.add_column(column, justify="right")
    table.add_column("records")
    for stage in found.stages:
        records = ", ".join(f"{count:,} {kind}" for kind, count in stage.records.items() if kind != "Dropped")
        counts = [stage.units_in, stage.done, stage.dropped, stage.failed, stage.pending]
        cells = [f"{count:,}" if count else "[dim]0[/]" for count in counts]
        if stage.failed:
            cells[3] = f"[red]{cells[3]}[/]"
        table.add_row(stage.name if stage.finished else f"{stage.name} ...", *cells, records)
    return table


def _print_failed(console: Console, item: FailedUnit, *, with_raw: bool) -> None:
    console.print(f"  {item.stage}: {plain(repr(item.unit))}: {plain(item.reason)}: {plain(item.detail)}")
    if with_raw and item.raw:
        for line in item.raw.splitlines():
            console.print(f"      | {plain(line)}")


def _took(line: SpendLine) -> str:
    """What calls took, as far as there is anything to say."""
    parts = []
    if line.prompt_tokens:
        parts.append(f"{line.prompt_tokens:,} + {line.completion_tokens:,} tokens")
    if line.estimated_tokens:
        parts.append(f"of which {line.estimated_tokens:,} estimated")
    if line.sound_s:
        parts.append(f"{line.sound_s / 60:,.1f} minutes of sound")
    if line.money is not None:
        parts.append(
            f"{line.money:,.2f}" + (f" ({line.estimated_money:,.2f} estimated)" if line.estimated_money else "")
        )
    return "".join(f", {part}" for part in parts)


def _settings(run: Path) -> Settings:
    """Those in force, for the prices of the teachers in the books."""
    path = run / "run.toml"
    return load_settings(path if path.exists() else None)


def _drop_reasons(run: Path) -> Counter[tuple[str, str]]:
    return Counter((dropped.stage, dropped.reason) for dropped in RunFiles(run).read(Dropped))
