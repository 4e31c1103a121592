"""`hardcut review pull`: answers into the run, and judgments that follow them at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from hardcut.annotate.records import Orphaned
from hardcut.cli.terminal import output, plain
from hardcut.pipeline.review import PullDone, ServerOptions
from hardcut.pipeline.review import pull as pull_answers
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.judgments import Review

_LISTED = 10
_ORPHANED: Mapping[Orphaned, str] = {
    "changed_query": "are about a query that has changed or is gone",
    "replaced_video": "are about a video whose file was replaced",
    "pair_gone": "are about a pair that the run no longer has (`dropped.jsonl` says why)",
}


def pull(where: ServerOptions, *, as_json: bool) -> int:
    """Pulls and says what is new; 1 where an answer could not be read in full."""
    done = asyncio.run(pull_answers(where))
    if as_json:
        body = asdict(done)
        print(json.dumps(body.pop("pulled") | body, indent=2))
    else:
        _print(where.run, done)
    return 1 if done.pulled.unread or done.pulled.strange else 0


def _print(run: Path, done: PullDone) -> None:
    pulled = done.pulled
    console = output()
    console.print(
        f"{pulled.reviews + pulled.comparisons:,} answers: {pulled.new:,} new, {pulled.changed:,} changed, "
        f"{pulled.withdrawn:,} withdrawn   [dim]{plain(str(run / Review.FILE))}[/]"
    )
    if pulled.comparisons:
        console.print(f"{pulled.comparisons:,} of them compare two videos  [dim]{plain(str(run / Comparison.FILE))}[/]")
    for word, count in done.orphans.items():
        console.print(f"{count:,} of them {_ORPHANED[word]}: kept, not applied")
    for line in (*pulled.unread[:_LISTED], *pulled.strange[:_LISTED]):
        console.print(plain(line))
    if done.rewrites:
        console.print(f"queries reworded: {done.rewrites:,}; the next `hardcut run` makes queries of the wordings")
    if done.applied:
        console.print(f"the judgments follow the answers; `hardcut review report {run}` says how well people agree")
    else:
        console.print("the run is not finished: the next `hardcut run` applies the answers")
