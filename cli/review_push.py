"""`hardcut review push`: previews, then records, into the sets that reviewers see."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.progress import open_progress
from hardcut.pipeline.review import Media, PushDone, ServerOptions, review_settings
from hardcut.pipeline.review import push as push_pairs


def push(
    where: ServerOptions, media: Media, config: Path | None, budget: int | None, cache: Path | None, *, as_json: bool
) -> int:
    """Pushes the plan and says what changed; 1 where a pair has no preview."""
    settings = review_settings(where.run, config, budget)
    with open_progress() as progress:
        done = push_pairs(where, media, settings, cache_folder(cache), progress)
    if as_json:
        print(json.dumps({"sets": [asdict(each) for each in done.sets]}, indent=2))
    else:
        _print(where.run, done)
    return 1 if any(each.without_preview for each in done.sets) else 0


def _print(run: Path, done: PushDone) -> None:
    console = output()
    for each in done.sets:
        if not each.records and not each.removed and not each.without_preview:
            continue
        console.print(
            f"{each.set:<13} {each.records:>7,} records: {each.pushed:,} pushed, {each.unchanged:,} unchanged, "
            f"{each.answered:,} answered, {each.removed:,} taken away   [dim]{plain(each.dataset)}[/]"
        )
        for reason, count in each.without_preview.items():
            console.print(f"              {count:>7,} not asked, without a clip: {plain(reason)}")
    if done.to_upload is not None:
        console.print(f"previews      put the files of {plain(str(done.to_upload))} under the --media-url")
    console.print(
        f"reviewers answer at {plain(done.url)}; `hardcut review pull {plain(str(run))}` brings the answers back"
    )
