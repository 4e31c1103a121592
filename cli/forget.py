"""`hardcut forget`: takes videos, with all that was made of them, out of run, cache and dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.forget import forget as take_out


def forget(run: Path, videos: Sequence[str], dataset: Path | None, cache: Path | None, *, as_json: bool) -> int:
    """Takes them out, and says what went and what remains elsewhere."""
    found = take_out(run, videos, cache_folder(cache), dataset)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    console = output()
    console.print(
        f"forgotten {found.results:,} results, {found.lines:,} answers and kept pairs, {len(found.files):,} files; "
        f"{found.replies:,} replies and {found.frames:,} folders of frames; {found.rows:,} rows of the dataset"
    )
    for line in found.remains:
        console.print(f"remains   {plain(line)}", highlight=False)
    console.print(f"to do     `hardcut run` again makes the files of {plain(str(run))} anew")
    return 0
