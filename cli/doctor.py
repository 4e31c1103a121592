"""`hardcut doctor`: what is installed, reachable and writable, and what to do about the rest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.doctor import checks
from hardcut.schemas.config import load_settings

_MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]![/]", "missing": "[red]no[/]", "broken": "[red]no[/]"}


def doctor(config: Path | None, teacher: str | None, cache: Path | None, *, as_json: bool) -> int:
    """Prints every check; 0 where a run with these settings can start, 4 where something that it needs is missing."""
    found = list(checks(load_settings(config, {"teacher.spec": teacher}), cache_folder(cache)))
    if as_json:
        print(json.dumps({"checks": [asdict(check) for check in found]}, indent=2, ensure_ascii=False))
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("", "check", "found", "what to do"):
            table.add_column(column, overflow="fold")
        for check in found:
            table.add_row(_MARKS[check.state], check.name, plain(check.found), plain(check.advice))
        output().print(table)
    return 4 if any(check.state in ("missing", "broken") for check in found) else 0
