"""Bounds the ledger of a run: results of settings and inputs that are no more go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.erase import drop_stale, locked_ledger
from hardcut.engine.files import atomic_writer
from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.run_files import RunFiles
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.kept import KeptPair
from hardcut.schemas.records import Pair


@dataclass(frozen=True, slots=True)
class Freed:
    """What went: results of the ledger, lines of kept.jsonl about pairs that had gone before, and bytes."""

    results: int
    kept: int
    bytes: int


def collect_garbage(run: Path) -> Freed:
    """Drops what no present setting or input of a finished run has. Going back to earlier settings then does their work
    again, out of the cache of replies, which is left alone: other runs share it.

    Raises UsageError for a folder without a run, a run that is not finished or that another process works on.
    """
    path = run / LEDGER_FILE
    if not path.is_file():
        raise UsageError(f"{run}: no run is there")
    before = path.stat().st_size
    with locked_ledger(run) as ledger:
        results = drop_stale(ledger)
    return Freed(results, _trimmed(run), max(0, before - path.stat().st_size))


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
