"""`hardcut diff`: what a version of a dataset has that the one before has not."""

from __future__ import annotations

import json
from pathlib import Path

from hardcut.cli.terminal import output, plain
from hardcut.publish.changes import changes, version_of
from hardcut.publish.dataset import Dataset
from hardcut.publish.diff import diff as compare
from hardcut.publish.diff_page import write_diff_page

_SHOWN = 5


def diff(old: Path, new: Path, html: Path | None, *, as_json: bool) -> int:
    """Prints what changed, and writes the page where one is asked for.

    Raises UsageError for a folder that is no dataset, DamagedDataset for one that was altered.
    """
    before, after = Dataset(old), Dataset(new)
    found = compare(before, after)
    if html is not None:
        write_diff_page(html, before, after, found)
    if as_json:
        versions = {"old": version_of(before), "new": version_of(after)}
        print(json.dumps({**versions, "breaks": found.breaks, "configs": found.as_json()}, indent=2))
        return 0
    console = output()
    for line in changes(before, after, found).lines:
        console.print(plain(line), highlight=False)
    for each in found.configs.values():
        for what in ("gone", "changed", "moved"):
            for example in each.examples.get(what, [])[:_SHOWN]:
                console.print(f"  {what:8} {plain(example)}", highlight=False)
    if found.breaks:
        console.print("rows of validation or test are gone, changed or moved: figures of both do not compare")
    if html is not None:
        console.print(f"page      {plain(str(html))}")
    return 0
