"""`hardcut plan`: what a run would ask, and what that costs, before anything is sent."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from hardcut.cli.run import carry_out_with_bars
from hardcut.cli.terminal import output, plain
from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.status import read_status
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.carry_out import Job
from hardcut.pipeline.effort import Effort, effort
from hardcut.pipeline.estimate import Estimate, Line, estimate
from hardcut.schemas.config import load_settings

_WIDTH = 160
"""Columns of the table at least: a narrow window breaks its lines and cuts no number."""


def plan(
    videos: str,
    run: Path,
    config: Path | None,
    overrides: Mapping[str, Any],
    cache: Path | None,
    tokens_s: float | None,
    sample: int | None,
    *,
    as_json: bool,
) -> int:
    """Prints a line for each stage that asks a teacher and for each leg, and the sums; first runs a sample, where one
    is asked for. Raises UsageError and BudgetReached as `hardcut run` does."""
    settings, kept = load_settings(config, overrides), cache_folder(cache)
    if sample is not None:
        _learn(Job(videos, run, settings, kept, sample=sample))
    found = asyncio.run(estimate(videos, run, settings, kept))
    takes = effort(found, run, settings, kept, tokens_s)
    if as_json:
        total = {"videos": found.videos, "calls": found.calls, "price": found.price}
        total |= {"between": found.between, "learned_from": found.learned}
        lines = [asdict(line) for line in found.lines]
        legs = [{**asdict(leg), "seconds": leg.seconds} for leg in takes.legs]
        told = {**asdict(takes), "legs": legs, "seconds": takes.seconds}
        whole = {"stages": lines, **total, "budget": found.budget.model_dump(), "effort": told}
        print(json.dumps(whole, indent=2, ensure_ascii=False))
        return 0
    console = output()
    console.width = max(console.width, _WIDTH)
    console.print(_table(found.lines))
    low, high = found.price
    priced = f", {low:,.2f} to {high:,.2f} at the settings' prices" if high else "; no price is set (teacher.price)"
    console.print(f"{found.videos:,} videos, {found.calls:,} calls to be paid{priced}")
    console.print(_certainty(found))
    if found.budget.calls is not None and found.calls > found.budget.calls:
        console.print(f"the budget of {found.budget.calls:,} calls will stop the run before its end")
    if takes.seconds[1] >= 1:
        console.print(_legs(takes))
    first, last = map(_time, takes.seconds)
    time = first if first == last else f"{first} to {last}"
    console.print(
        f"{time} in all with {takes.workers} workers and {settings.resources.concurrency} calls at once; "
        f"disk {_bytes(takes.frames_bytes)} of frames and {_bytes(takes.records_bytes)} of records and replies; "
        f"memory {_bytes(takes.memory_bytes)}"
    )
    if takes.stated or any(leg.stated for leg in takes.legs):
        names = [*dict.fromkeys(name for leg in takes.legs for name in leg.stated), *takes.stated]
        console.print(f"not measured in this run, but as it was elsewhere: {', '.join(names)}")
    return 0


def _learn(job: Job) -> None:
    """Runs a sample, which is part of the run, and says on stderr what it took."""
    before = _calls(job.out)
    carry_out_with_bars(job)
    took = _calls(job.out) - before
    print(f"a sample of {job.sample:,} videos was run: {took:,} calls, which the run has now", file=sys.stderr)


def _calls(run: Path) -> int:
    return sum(line.calls for line in read_status(run).spend) if (run / LEDGER_FILE).is_file() else 0


def _certainty(found: Estimate) -> str:
    low, high = found.between
    if low == high:
        return "each of them is known"
    if found.learned:
        return f"at least {low:,} and at most {high:,}, by {found.learned:,} videos that the run has learned from"
    return (
        f"at least {low:,} and at most {high:,}: what a teacher makes of these videos is not known yet; "
        "`--sample 50` runs so many first and plans by them"
    )


def _legs(takes: Effort) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("leg", overflow="fold")
    for column in ("this machine", "teachers"):
        table.add_column(column, justify="right", no_wrap=True)
    for leg in takes.legs:
        if leg.seconds[1] >= 1:
            low, high = map(_time, leg.teachers_s)
            table.add_row(", ".join(leg.stages), _time(leg.machine_s), low if low == high else f"{low} - {high}")
    return table


def _time(seconds: float) -> str:
    """Seconds in the largest unit that leaves at least one and a half of it."""
    for name, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.1f} {name}"
    return f"{seconds:,.0f} seconds"


def _bytes(count: int) -> str:
    for name, size in (("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:,.1f} {name}"
    return f"{count / 1e6:,.0f} MB"


def _table(lines: Sequence[Line]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", no_wrap=True)
    for column in ("calls", "in cache", "estimated", "frames", "prompt tokens", "reply tokens", "price"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("teacher", overflow="fold")
    for line in lines:
        replies = f"{line.completion_tokens[0]:,} - {line.completion_tokens[1]:,}"
        price = f"{line.price[0]:,.2f} - {line.price[1]:,.2f}" if line.price[1] else "-"
        numbers = (line.known, line.cached, line.estimated, line.frames, line.prompt_tokens)
        table.add_row(line.stage, *(f"{number:,}" for number in numbers), replies, price, plain(line.teacher))
    return table
