"""`hardcut review pull`: answers into the run, and judgments that follow them at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from hardcut.annotate.pull import Pulled
from hardcut.annotate.pull import pull as pull_answers
from hardcut.annotate.records import RunRecords, read_run
from hardcut.cli.review_server import Where, reach, settings_of
from hardcut.cli.terminal import output, plain
from hardcut.engine.ledger import Ledger
from hardcut.engine.run import Engine
from hardcut.publish.judgments import JudgmentStage
from hardcut.schemas.judgments import Review
from hardcut.schemas.settings import Settings

_LISTED = 10


def pull(where: Where, *, as_json: bool) -> int:
    """Pulls and says what is new; 1 where an answer could not be read in full."""
    settings = settings_of(where.run, None)
    told = pull_answers(where.run, where.set_name, reach(where).server)
    applied = apply_answers(where.run, settings)
    records = read_run(where.run) if applied else None
    orphans = len(records.orphans()) if records else 0
    rewrites = _rewrites(records) if records else 0
    if as_json:
        print(json.dumps({**asdict(told), "orphans": orphans, "rewrites": rewrites, "applied": applied}, indent=2))
    else:
        _print(where.run, told, applied, orphans, rewrites)
    return 1 if told.unread or told.strange else 0


def apply_answers(run: Path, settings: Settings) -> bool:
    """Makes the judgments again out of what people said; False where the run is not finished and will do it itself."""
    own = Path(settings.inputs.judgments) if settings.inputs.judgments else None
    with Ledger(run) as ledger:
        stage = JudgmentStage(settings.judgments, settings.filters, own, run / Review.FILE)
        return asyncio.run(Engine(ledger).run_last(stage))


def _rewrites(found: RunRecords) -> int:
    """How many wordings of reviewers are no query of the run yet."""
    made = {(query.parent_query_id, query.text) for query in found.queries.values()}
    said = {
        (review.query_id, " ".join(review.rewritten_query.split()))
        for reviews in found.reviews.values()
        for review in reviews
        if review.status == "submitted" and review.rewritten_query and review.query_id in found.queries
    }
    return len(said - made)


def _print(run: Path, told: Pulled, applied: bool, orphans: int, rewrites: int) -> None:
    console = output()
    console.print(
        f"{told.reviews:,} answers: {told.new:,} new, {told.changed:,} changed, {told.withdrawn:,} withdrawn "
        f"  [dim]{plain(str(run / Review.FILE))}[/]"
    )
    if orphans:
        console.print(f"{orphans:,} of them are about a wording that the run no longer has: kept, not applied")
    for line in (*told.unread[:_LISTED], *told.strange[:_LISTED]):
        console.print(plain(line))
    if rewrites:
        console.print(f"queries reworded: {rewrites:,}; the next `hardcut run` makes queries of the wordings")
    if applied:
        console.print(f"the judgments follow the answers; `hardcut review report {run}` says how well people agree")
    else:
        console.print("the run is not finished: the next `hardcut run` applies the answers")
