"""`hardcut synth text`: the stage with bars, then what was written."""

from __future__ import annotations

import asyncio
import json

from hardcut.cli.status import exit_status, print_summary
from hardcut.cli.terminal import output, plain
from hardcut.engine.status import read_status
from hardcut.pipeline.progress import open_progress
from hardcut.pipeline.synth_text import TextJob
from hardcut.pipeline.synth_text import synth_text as carry_out
from hardcut.schemas.errors import BudgetReached


def synth_text(job: TextJob, *, as_json: bool) -> int:
    """Carries it out and prints what was written; 0, or 1 where texts failed or the check did."""
    try:
        with open_progress() as progress:
            found = asyncio.run(carry_out(job, progress))
    except BudgetReached:
        print_summary(job.out, read_status(job.out), as_json=as_json)
        raise
    status = read_status(job.out)
    if as_json:
        told = {
            "dataset": str(found.out), "rows": found.rows, "nuances": found.nuances, "left_out": found.left_out,
            "gate": [found.check.as_json()],
        }  # fmt: skip
        print(json.dumps(told, indent=2))
    else:
        print_summary(job.out, status, as_json=False)
        console = output()
        for split, count in found.rows.items():
            console.print(f"{split:<10}{count:>12,} triplets")
        for reason, count in found.left_out.items():
            console.print(f"left out  {count:>12,} sets or halves of them: {reason}")
        console.print(f"check     {found.check.state}: {plain(found.check.message)}")
        console.print(f"dataset   {plain(str(found.out))}")
    return exit_status(status) or int(found.check.state == "failed")
