"""`hardcut gc`: frees what results of settings that are no more take of a run's folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hardcut.cli.terminal import output
from hardcut.pipeline.gc import collect_garbage


def gc(run: Path, *, as_json: bool) -> int:
    """Frees it, and says how much."""
    found = collect_garbage(run)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        output().print(
            f"freed {found.bytes / 1e6:,.1f} MB: {found.results:,} results of settings and inputs that are no more, "
            f"{found.kept:,} lines about pairs that had left"
        )
    return 0
