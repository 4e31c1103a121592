"""Bounds the ledger of a run and the cache of replies: what belongs to settings and inputs that are no more goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.erase import drop_stale, locked_ledger
from hardcut.engine.files import atomic_writer
from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.reply_uses import SpareReplies, knows_run, spare_replies
from hardcut.engine.run_files import RunFiles
from hardcut.pipeline.cache import Cache
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.records import Pair


@dataclass(frozen=True, slots=True)
class Freed:
    """What went: results of the ledger, lines of kept.jsonl about pairs that had gone before, and bytes of the ledger.
    `replies` are those of the cache that nothing else uses; they are paid for, and go where that was asked."""

    results: int
    kept: int
    bytes: int
    replies: SpareReplies


def collect_garbage(run: Path, cache: Cache, *, replies: bool = False) -> Freed:
    """Drops what no present setting or input of a finished run has. Going back to earlier settings then does their work
    again, out of the cache of replies.

    With `replies` that cache lets go of what only this run asked for, by stages whose settings it no longer has: these
    would have to be paid again. What another run asked for too stays, and so does what was there before uses were
    noted. Of a run that is no more at this path, all that it alone asked for goes.

    Raises UsageError for a folder without a run, a run that is not finished or that another process works on.
    """
    path, name = run / LEDGER_FILE, str(run.resolve())
    if not path.is_file():
        if not run.exists() and knows_run(cache.replies, name):
            return Freed(0, 0, 0, spare_replies(cache.replies, name, gone=True, free=replies))
        raise UsageError(f"{run}: no run is there")
    before = path.stat().st_size
    with locked_ledger(run) as ledger:
        results = drop_stale(ledger)
        spare = spare_replies(cache.replies, name, gone=False, free=replies)
    return Freed(results, _trimmed(run), max(0, before - path.stat().st_size), spare)


def _trimmed(run: Path) -> int:
    """Takes pairs out of kept.jsonl that are no pairs any more and that nobody answered. Their lines in dropped.jsonl
    go with the next start that makes pairs again."""
    path = run / KeptPair.FILE
    if not path.exists():
        return 0
    now = {pair.pair_id for pair in RunFiles(run).read(Pair)}
    kept = list(read_records(path, KeptPair))
    left = [pair for pair in kept if pair.reviewed or pair.pair_id in now]
    if len(left) < len(kept):
        with atomic_writer(path) as file:
            write_records(file, left)
    return len(kept) - len(left)
