"""`hardcut run`: the stages, the report, then a summary."""

from __future__ import annotations

import asyncio
import sys

from hardcut.cli.status import exit_status, print_summary
from hardcut.engine.status import read_status
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.progress import open_progress
from hardcut.schemas.errors import BudgetReached


def run(job: Job, *, as_json: bool) -> int:
    """Carries the run out and prints the summary; 0, or 1 where items failed.

    A run that stops at its budget prints its summary too, then raises BudgetReached.
    """
    try:
        carry_out_with_bars(job)
    except BudgetReached:
        print_summary(job.out, read_status(job.out), as_json=as_json)
        raise
    status = read_status(job.out)
    print_summary(job.out, status, as_json=as_json)
    return exit_status(status)


def carry_out_with_bars(job: Job) -> None:
    """The run with bars on a terminal."""
    with open_progress() as progress:
        asyncio.run(carry_out(job, progress))
    if told := progress.teachers:
        print(f"teachers: {told}, over the whole start", file=sys.stderr)
