"""`hardcut reproduce`: the run of a dataset, set up again, and what is different."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.reproduce import CONFIG
from hardcut.pipeline.reproduce import reproduce as set_up


def reproduce(
    dataset: Path, videos: Path, out: Path, servers: Sequence[str], cache: Path | None, *, as_json: bool
) -> int:
    """Sets the run up, or compares it where it has begun, and says line by line what differs."""
    found = set_up(dataset, videos, out, servers, cache_folder(cache))
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    console = output()
    for name in found.written:
        console.print(f"written   {plain(str(out / name))}", highlight=False)
    for each in found.differences:
        console.print(f"differs   {plain(str(each))}", highlight=False)
    if not found.differences:
        console.print("differs   nothing that was looked at")
    if not found.compared:
        words = ["hardcut", "run", str(videos), "--out", str(out), "--config", str(out / CONFIG)]
        line = shlex.join([*words, *found.flags])
        console.print(f"to do     `{plain(line)}`, then the same `hardcut reproduce` again compares", highlight=False)
    elif not found.finished:
        console.print("to do     the run is not finished, so its records are not compared: finish it, then again")
    return 0
