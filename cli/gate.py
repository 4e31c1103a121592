"""`hardcut check`: whether a dataset may be published, check by check."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hardcut.cli.terminal import output, plain
from hardcut.publish.allowances import items_to_allow
from hardcut.publish.checks.result import SHOWN, CheckResult
from hardcut.publish.dataset import Dataset
from hardcut.publish.gate import check as run_checks
from hardcut.publish.gate import gate_settings, refuse_damaged, stopped
from hardcut.schemas.config import load_settings

_COLOURS = {"passed": "green", "failed": "red", "allowed": "yellow", "unknown": "red", "off": "dim"}


def check(
    folder: Path, config: Path | None, allow: Sequence[str], vectors: Path | None = None, *, as_json: bool
) -> int:
    """Runs every check and says what it found; 0, 1 where one failed or could not look, 4 where it lacks a library.

    Raises DamagedDataset where files were altered, so that checks cannot look.
    """
    dataset = Dataset(folder)
    settings = gate_settings(dataset) if config is None else load_settings(config)
    if vectors is not None:
        settings = load_settings(settings, {"check.vectors": str(vectors)})
    results = run_checks(dataset, settings, allow)
    if as_json:
        print(json.dumps({"dataset": str(folder), "checks": [result.as_json() for result in results]}, indent=2))
    else:
        refuse_damaged(results)
        print_gate(results)
    return gate_status(results)


def gate_status(results: Sequence[CheckResult]) -> int:
    """The exit status that a gate's results stand for."""
    wrong = {result.cause for result in stopped(results)}
    return 4 if "needs" in wrong else 2 if "damaged" in wrong else 1 if wrong else 0


def print_gate(results: Sequence[CheckResult]) -> None:
    """A line a check; under one that failed or could not look a few items and what to do."""
    console = output()
    for result in results:
        mark = f"[{_COLOURS[result.state]}]{result.state:8}[/]"
        console.print(f"{mark} {result.name:28} {plain(result.message)}", highlight=False)
        if result.state in ("failed", "unknown", "allowed"):
            for example in result.examples:
                console.print(f"           {plain(example)}", highlight=False)
            if result.stops and result.advice:
                console.print(f"           [bold]to do:[/] {plain(result.advice)}", highlight=False)
            if items := items_to_allow(result):
                line = f"or, if it may stay: --allow '{result.name}: {items[0]} because …'"
                console.print(f"           {plain(line)}", highlight=False)
            for one in result.allowed[:SHOWN]:
                console.print(f"           {plain(f'allowed: {one.item} because {one.reason}')}", highlight=False)
