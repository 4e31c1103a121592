"""`hardcut plan`: what a run would ask, and what that costs, before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.estimate import Line, estimate
from hardcut.schemas.config import load_settings

_WIDTH = 160
"""Columns of the table at least: a narrow window breaks its lines and cuts no number."""


def plan(
    videos: Path, run: Path, config: Path | None, overrides: Mapping[str, Any], cache: Path | None, *, as_json: bool
) -> int:
    """Prints a line for each stage that asks a teacher, and the sums. Raises UsageError as `hardcut run` does."""
    found = asyncio.run(estimate(videos, run, load_settings(config, overrides), cache_folder(cache)))
    if as_json:
        total = {"videos": found.videos, "calls": found.calls, "price": found.price}
        lines = [asdict(line) for line in found.lines]
        print(json.dumps({"stages": lines, **total, "budget": found.budget.model_dump()}, indent=2, ensure_ascii=False))
        return 0
    console = output()
    console.width = max(console.width, _WIDTH)
    console.print(_table(found.lines))
    low, high = found.price
    priced = f", {low:,.2f} to {high:,.2f} at the settings' prices" if high else "; no price is set (teacher.price)"
    console.print(f"{found.videos:,} videos, {found.calls:,} calls to be paid{priced}")
    if found.budget.calls is not None and found.calls > found.budget.calls:
        console.print(f"the budget of {found.budget.calls:,} calls will stop the run before its end")
    return 0


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
