"""`hardcut run`: the chain, then its report and its summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.cli.chain import Job, run_chain
from hardcut.cli.paths import cache_folder
from hardcut.cli.progress import TerminalProgress
from hardcut.cli.report import refresh_report
from hardcut.cli.status import exit_status, print_summary
from hardcut.engine.status import read_status
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import BudgetReached


@dataclass(frozen=True, slots=True)
class Inputs:
    """The arguments of the command as they were given."""

    videos: Path
    out: Path
    config: Path | None
    overrides: Mapping[str, Any]
    limit: int | None
    until: str | None
    cache: Path | None


def run(inputs: Inputs, *, retry_failed: bool, as_json: bool) -> int:
    """Runs the chain, writes the report, prints the summary; 0, or 1 where items failed."""
    settings = load_settings(inputs.config, inputs.overrides)
    cache = cache_folder(inputs.cache)
    job = Job(inputs.videos, inputs.out, settings, cache, inputs.limit, inputs.until, retry_failed)
    carry_out(job)
    status = read_status(job.out)
    print_summary(job.out, status, as_json=as_json)
    return exit_status(status)


def carry_out(job: Job) -> None:
    """The chain and its report. A run that stops at its budget leaves a report too."""
    try:
        with TerminalProgress() as progress:
            run_chain(job, progress)
    except BudgetReached:
        refresh_report(job.out, job.settings, job.cache)
        raise
    refresh_report(job.out, job.settings, job.cache)
