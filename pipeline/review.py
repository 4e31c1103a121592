"""The review loop of a run: connects to an Argilla, pushes pairs and pulls answers."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut.annotate.argilla import ArgillaServer, key_of_environment
from hardcut.annotate.embedded.server import connection, data_folder
from hardcut.annotate.previews import Previews
from hardcut.annotate.pull import Pulled
from hardcut.annotate.pull import pull as pull_answers
from hardcut.annotate.push import EmbeddedMedia, MediaLink, Push, Pushed, RemoteMedia
from hardcut.annotate.records import Orphaned, RunRecords, read_run
from hardcut.annotate.review_quality import REPORT_FILE, ReviewReport
from hardcut.annotate.review_quality import assess_reviews as make_report
from hardcut.engine.engine import Engine
from hardcut.engine.files import atomic_writer
from hardcut.engine.pool import WorkerPool
from hardcut.engine.progress import Progress
from hardcut.engine.run_files import RunFiles
from hardcut.pipeline.cache import Cache, cache_folder
from hardcut.pipeline.context import opened
from hardcut.pipeline.run_report import refresh_report
from hardcut.pipeline.stages import STAGES
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Video
from hardcut.schemas.settings import Settings

WORKSPACE = "hardcut"
"""Where the sets are; the embedded server makes it."""
REMOTE_PREVIEWS = Path("review") / "media"
"""Where in a run's folder the previews for an Argilla elsewhere are made."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The server to use. `name` is the name of the run's sets there; default: the name of its folder."""

    run: Path
    url: str | None = None
    data: Path | None = None
    workspace: str | None = None
    name: str | None = None

    @property
    def set_name(self) -> str:
        """The name of the run's sets."""
        return self.name or self.run.resolve().name


@dataclass(frozen=True, slots=True)
class ReviewServer:
    """A server that answered, at `url`. `media`, for an embedded one alone, is the folder of its clips and their paths
    there."""

    server: ArgillaServer
    url: str
    media: tuple[Path, Callable[[str], str]] | None


def reach(where: ServerOptions) -> ReviewServer:
    """Connects to the server. Raises Unreachable, which says how to start one, where none answers."""
    if where.url is not None:
        if not where.url.startswith(("http://", "https://")):
            raise UsageError(f"--url {where.url!r}: expected http:// or https:// and an address")
        hint = f"start it, or `hardcut review serve {where.run}` and leave --url out"
        server = ArgillaServer(where.url, key_of_environment(), where.workspace or WORKSPACE, hint)
        return ReviewServer(server, where.url, None)
    data = data_folder(where.run, where.data)
    found = connection(data)
    hint = f"start one with `hardcut review serve {where.run}`"
    server = ArgillaServer(found.url, found.api_key, where.workspace or WORKSPACE, hint)
    return ReviewServer(server, found.url, (found.media_root, found.media_url))


def run_settings(run: Path, config: Path | None = None) -> Settings:
    """The settings in force: the given ones, or else the run's own. Raises UsageError where there is no run."""
    if not (run / "run.toml").is_file():
        raise UsageError(f"{run}: no run is there: `hardcut run VIDEOS --out {run}` makes one")
    return load_settings(config or run / "run.toml")


def review_settings(run: Path, config: Path | None, budget: int | None) -> Settings:
    """As `run_settings`, with this budget of answers."""
    settings = run_settings(run, config)
    if budget is None:
        return settings
    return settings.model_copy(update={"review": settings.review.model_copy(update={"budget": budget})})


@dataclass(frozen=True, slots=True)
class Media:
    """Where the videos are, and how clips reach an Argilla elsewhere: inside the record up to `limit_mb`, else under
    `url`."""

    videos: Path
    url: str | None = None
    limit_mb: float = 2.0


@dataclass(frozen=True, slots=True)
class PushDone:
    """What a push changed, set by set, on the server at `url`; `to_upload` is a folder whose files the user puts under
    the URL of the media."""

    url: str
    sets: list[Pushed]
    to_upload: Path | None


def push(where: ServerOptions, media: Media, settings: Settings, cache: Cache, progress: Progress) -> PushDone:
    """Makes previews of the planned pairs, then sends the records. A second push changes nothing."""
    if not media.videos.is_dir():
        raise UsageError(f"{media.videos}: no such folder: --videos is the one that the run was made from")
    records = read_run(where.run)
    reached = reach(where)
    folder, link = _link(reached, where.run, media)
    folder.mkdir(parents=True, exist_ok=True)
    use = settings.resources
    # Blind pages show whole videos: one that is cut no slower than it plays is not stuck.
    longest = max((video.duration_s for video in RunFiles(where.run).read(Video)), default=0.0)
    with WorkerPool(use.workers or os.cpu_count() or 1, max(use.decode_timeout_s, longest)) as pool:
        root = media.videos.resolve()
        limit = int(media.limit_mb * 1e6) if where.url and media.url is None else None
        previews = Previews(root, cache.frames, folder, settings.media, settings.review, pool, limit)
        progress.started(
            "previews", len(records.plan(settings.review).items) + 2 * len(records.couples(settings.review))
        )
        routes = reached.media is not None
        work = Push(records, settings, reached.server, previews, link, where.set_name, routes)
        sets = work.carry_out(lambda: progress.advanced("previews"), lambda number: None)
        progress.finished("previews")
    return PushDone(reached.url, sets, folder if media.url and where.url else None)


def _link(reached: ReviewServer, run: Path, media: Media) -> tuple[Path, MediaLink]:
    if reached.media is not None:
        folder, path_of = reached.media
        return folder, EmbeddedMedia(path_of)
    folder = run / REMOTE_PREVIEWS
    return folder, RemoteMedia(folder, int(media.limit_mb * 1e6), media.url)


@dataclass(frozen=True, slots=True)
class PullDone:
    """The result of a pull. `applied`: the judgments are made again already. Then `orphans` counts answers that are
    applied to nothing, by reason, and `rewrites` the wordings of reviewers that are no query yet."""

    pulled: Pulled
    orphans: Mapping[Orphaned, int]
    rewrites: int
    applied: bool


async def pull(where: ServerOptions) -> PullDone:
    """Brings the answers into the run, and makes its judgments again."""
    settings = run_settings(where.run)
    experts = settings.review.experts
    pulled = await asyncio.to_thread(lambda: pull_answers(where.run, where.set_name, reach(where).server, experts))
    if not await apply_answers(where.run, settings):
        return PullDone(pulled, {}, 0, applied=False)
    records = read_run(where.run)
    orphans = dict(sorted(Counter(word for word, _ in records.orphans()).items()))
    return PullDone(pulled, orphans, _rewrites(records), applied=True)


async def apply_answers(run: Path, settings: Settings) -> bool:
    """Makes the judgments again from the answers. False where the run is not finished and will do it later."""
    async with opened(settings, run, cache_folder(None)) as context:
        stage = STAGES[-1].make(context)
        assert stage is not None and stage.kind == "collection"
        return await Engine(context.ledger).run_last(stage)


def _rewrites(found: RunRecords) -> int:
    """The number of reviewers' wordings that are no query of the run yet."""
    made = {(query.parent_query_id, query.text) for query in found.queries.values()}
    said = {
        (review.query_id, " ".join(review.rewritten_query.split()))
        for reviews in found.reviews.values()
        for review in reviews
        if review.status == "submitted" and review.rewritten_query and review.query_id in found.queries
    }
    return len(said - made)


def report(run: Path, cache: Cache) -> tuple[ReviewReport, Path]:
    """The report on people and teachers, and the run's page with it. Writes both; the report is `review.json`."""
    settings = run_settings(run)
    if not (RunFiles(run).has(Review) or RunFiles(run).has(Comparison)):
        raise UsageError(f"{run}: nobody has reviewed anything yet: `hardcut review push {run}`, then `review pull`")
    found = make_report(read_run(run))
    with atomic_writer(run / REPORT_FILE) as file:
        file.write(found.model_dump_json(indent=2, by_alias=True) + "\n")
    return found, refresh_report(run, settings, cache)
