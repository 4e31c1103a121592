"""`hardcut merge`: one run out of shards."""

from __future__ import annotations

from collections.abc import Sequence
from json import dumps
from pathlib import Path

from hardcut.pipeline.merge import merge as merge_runs


def merge(out: Path, runs: Sequence[Path], *, as_json: bool) -> int:
    """Merges the runs and says what was taken of each."""
    taken = merge_runs(out, runs)
    if as_json:
        print(dumps([{"run": str(each.run), "units": each.units, "known": each.known} for each in taken]))
        return 0
    for each in taken:
        again = f", {each.known} that were there already" if each.known else ""
        print(f"{each.run}: {each.units} results{again}")
    print(f"merged into {out}: `hardcut run VIDEOS --out {out}`, with the same settings, goes on")
    return 0
