"""`hardcut review plan`: what a budget of answers buys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from hardcut.annotate.policy import BLIND, ReviewPlan, further_change
from hardcut.annotate.records import read_run
from hardcut.cli.terminal import output
from hardcut.pipeline.review import review_settings
from hardcut.schemas.judgments import Stratum
from hardcut.schemas.settings import ReviewSettings

_WHY: Mapping[Stratum, str] = {
    "audit": "drawn by chance: says how good the teacher is",
    "gold": "your own judgments know the answer: says how good reviewers are",
    "compared": "people who compared two videos contradict its label",
    "disagreement": "teachers disagree",
    "suspected": "the teacher contradicts how the pair came about",
    "margin": "the teacher is nearly undecided",
    "counterfactual": "the query is written so that its video does not answer it",
    "conflict": "reviewers disagree: a third person decides, on top of the budget",
}


def plan(run: Path, config: Path | None, budget: int | None, *, as_json: bool) -> int:
    """Prints what would be asked. Sends nothing."""
    settings = review_settings(run, config, budget).review
    records = read_run(run)
    found = records.plan(settings)
    couples = records.couples(settings)
    missing, changed = further_change(records.candidates(), settings)
    if as_json:
        items = [asdict(item) | {"set": item.set} for item in found.items]
        more = {"answers": 100, "labels": missing, "changes": round(changed, 2)}
        body = {
            "budget": settings.budget,
            "overlap": settings.overlap,
            "items": items,
            "couples": len(couples),
            "further": more,
        }
        print(json.dumps(body | {"strata": [asdict(share) for share in found.shares]}, indent=2))
    else:
        _print(run, found, settings)
        if settings.pairwise:
            output().print(f"{len(couples):,} times two videos are compared, by two people each, on top of the budget")
        output().print(
            f"a further 100 answers would bring {missing:,} labels that are missing now, and change about {changed:.0f}"
        )
    return 0


def _print(run: Path, found: ReviewPlan, settings: ReviewSettings) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stratum")
    for column in ("pairs", "asked", "answers"):
        table.add_column(column, justify="right")
    table.add_column("shown")
    table.add_column("why")
    for share in found.shares:
        shown = "adjudication" if share.stratum == "conflict" else "blind" if share.stratum in BLIND else "assisted"
        numbers = (f"{number:,}" for number in (share.available, share.records, share.answers))
        table.add_row(share.stratum, *numbers, shown, _WHY[share.stratum])
    console = output()
    console.print(table)
    answers = sum(share.answers for share in found.shares if share.stratum != "conflict")
    console.print(
        f"{answers:,} of {settings.budget:,} answers, blind records answered by {settings.overlap} people each; "
        f"`hardcut review push {run}` asks them"
    )
