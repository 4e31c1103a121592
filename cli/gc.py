"""`hardcut gc`: frees what settings that are no more take of a run's folder and, if told to, of the cache."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hardcut.cli.terminal import output
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.gc import collect_garbage


def gc(run: Path, cache: Path | None, *, replies: bool, as_json: bool) -> int:
    """Frees it, and says how much."""
    found = collect_garbage(run, cache_folder(cache), replies=replies)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        output().print(
            f"freed {found.bytes / 1e6:,.1f} MB: {found.results:,} results of settings and inputs that are no more, "
            f"{found.kept:,} lines about pairs that had left"
        )
        spare = found.replies
        size = f"{spare.bytes / 1e6:,.1f} MB"
        told = f"{spare.replies:,} replies ({size}) that only earlier settings of this run asked for"
        if spare.freed:
            output().print(f"freed {told}")
        elif spare.replies:
            output().print(f"kept  {told}: they are paid for, and `hardcut gc --replies` frees them")
    return 0
