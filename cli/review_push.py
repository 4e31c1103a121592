"""`hardcut review push`: previews, then records, into the sets that reviewers see."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from hardcut.annotate.previews import Previews
from hardcut.annotate.push import EmbeddedMedia, MediaLink, Push, Pushed, RemoteMedia
from hardcut.annotate.records import read_run
from hardcut.cli.paths import cache_folder
from hardcut.cli.progress import TerminalProgress
from hardcut.cli.review_plan import with_budget
from hardcut.cli.review_server import Reached, Where, reach, settings_of
from hardcut.cli.terminal import output, plain
from hardcut.engine.pool import WorkerPool
from hardcut.schemas.errors import UsageError

REMOTE_PREVIEWS = Path("review") / "media"
"""Where in a run's folder the previews for an Argilla elsewhere are made."""


@dataclass(frozen=True, slots=True)
class Media:
    """Where the videos are, and how clips reach an Argilla elsewhere: inside the record up to `limit_mb`, else under
    `url`."""

    videos: Path
    url: str | None = None
    limit_mb: float = 2.0


def push(
    where: Where, media: Media, config: Path | None, budget: int | None, cache: Path | None, *, as_json: bool
) -> int:
    """Pushes the plan and says what changed; 1 where a pair has no preview."""
    run = where.run
    settings = settings_of(run, config)
    settings = settings.model_copy(update={"review": with_budget(settings.review, budget)})
    if not media.videos.is_dir():
        raise UsageError(f"{media.videos}: no such folder: --videos is the one that the run was made from")
    records = read_run(run)
    reached = reach(where)
    folder, link = _link(reached, run, media)
    folder.mkdir(parents=True, exist_ok=True)
    workers = settings.resources.workers or os.cpu_count() or 1
    with WorkerPool(workers, settings.resources.decode_timeout_s) as pool, TerminalProgress() as progress:
        frames = cache_folder(cache).frames
        previews = Previews(media.videos.resolve(), frames, folder, settings.media, settings.review, pool)
        progress.started("previews", len(records.plan(settings.review).items))
        work = Push(records, settings, reached.server, previews, link, where.set_name)
        told = work.carry_out(lambda: progress.advanced("previews"), lambda number: None)
        progress.finished("previews")
    if as_json:
        print(json.dumps({"sets": [asdict(each) for each in told]}, indent=2))
    else:
        _print(reached.url, where.run, told, folder if media.url and where.url else None)
    return 1 if any(each.without_preview for each in told) else 0


def _link(reached: Reached, run: Path, media: Media) -> tuple[Path, MediaLink]:
    if reached.media is not None:
        folder, path_of = reached.media
        return folder, EmbeddedMedia(path_of)
    folder = run / REMOTE_PREVIEWS
    return folder, RemoteMedia(folder, int(media.limit_mb * 1e6), media.url)


def _print(url: str, run: Path, told: list[Pushed], to_upload: Path | None) -> None:
    console = output()
    for each in told:
        if not each.records and not each.removed:
            continue
        console.print(
            f"{each.set:<13} {each.records:>7,} records: {each.pushed:,} pushed, {each.unchanged:,} unchanged, "
            f"{each.answered:,} answered, {each.removed:,} taken away   [dim]{plain(each.dataset)}[/]"
        )
        for reason, count in each.without_preview.items():
            console.print(f"              {count:>7,} without a clip: {plain(reason)}")
    if to_upload is not None:
        console.print(f"previews      put the files of {plain(str(to_upload))} under the --media-url")
    console.print(f"reviewers answer at {plain(url)}; `hardcut review pull {plain(str(run))}` brings the answers back")
