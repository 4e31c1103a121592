"""A run: the stages over a collection of videos, then the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hardcut.engine.engine import Engine
from hardcut.engine.files import atomic_writer
from hardcut.engine.progress import Progress, Several, Watcher
from hardcut.engine.stage import Source
from hardcut.media.collection import Collection
from hardcut.media.sources import open_source
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.context import OpenRun, opened
from hardcut.pipeline.merge import Shard, last_stage
from hardcut.pipeline.metrics import published_metrics
from hardcut.pipeline.note_kept import note_kept_pairs
from hardcut.pipeline.run_report import refresh_report
from hardcut.pipeline.stages import entry, roles_until, stages
from hardcut.schemas.config import format_settings
from hardcut.schemas.errors import BudgetReached
from hardcut.schemas.settings import Inputs, Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.schemas.user_judgments import read_judgments
from hardcut.synth.candidates.ranked import check_first_stage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.elsewhere import NEIGHBOURS, Ring
from hardcut.synth.negatives import NegativeStage
from hardcut.synth.queries import QueryStage
from hardcut.synth.user_queries import read_queries
from hardcut.teacher.protocol import Teacher

_AHEAD = 2
"""Units in a stage for each process of a cluster, so that none waits for work."""
_OF_SAMPLE = frozenset({QueryStage.name, CounterfactualStage.name})
"""Stages that a sample's videos alone go through; the earlier ones also take their neighbours."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run to be carried out.

    `videos` names where they lie (`media/sources.py`). `limit` takes the first videos by id, `until` stops after a
    stage. `lent` are teachers that the caller has opened, by their settings. `renew` names the stage whose results of
    earlier versions are made anew. `shard` takes a part of the videos, up to the last stage that looks at each alone.
    `sample` takes so many videos, which fall by digest, up to the counterfactuals: what a plan learns from.
    """

    videos: str | Path
    out: Path
    settings: Settings
    cache: Cache
    limit: int | None = None
    until: str | None = None
    retry_failed: bool = False
    lent: Mapping[TeacherSettings, Teacher] = field(default_factory=dict)
    renew: str | None = None
    shard: Shard | None = None
    sample: int | None = None


async def carry_out(job: Job, progress: Progress) -> None:
    """Carries out what is not done yet, and writes the report of the run, also when the budget is spent.

    The user's files are read first, so that a wrong line is reported before an hour's work and not after it. Raises
    UsageError, MissingDependency, StorageError, BudgetReached. What was finished before stays.
    """
    if job.until is not None:
        entry(job.until)
    if job.renew is not None:
        entry(job.renew)
    if job.shard is not None:
        job = replace(job, until=last_stage(job.until))
    if job.sample is not None:
        job = replace(job, until=CounterfactualStage.name)
    check_inputs(job.settings.inputs)
    collection = find_videos(job.videos, job.settings, job.out, job.cache)
    try:
        await _run_stages(job, collection, progress)
    except BudgetReached:
        refresh_report(job.out, job.settings, job.cache)
        raise
    refresh_report(job.out, job.settings, job.cache)


def find_videos(videos: str | Path, settings: Settings, out: Path, cache: Cache) -> Collection:
    """The videos of a run. Files that the run writes itself are left out."""
    manifest = settings.inputs.manifest
    given = Path(manifest) if manifest else None
    return open_source(videos, given, (out, cache.root), settings.sources, cache.videos)


def check_inputs(inputs: Inputs) -> None:
    """Reads the user's own files once. Raises UsageError naming file and line."""
    if inputs.queries:
        read_queries(Path(inputs.queries))
    if inputs.first_stage:
        check_first_stage(Path(inputs.first_stage))
    if inputs.judgments:
        read_judgments(Path(inputs.judgments))


async def _run_stages(job: Job, collection: Collection, progress: Progress) -> None:
    roles = roles_until(job.until)
    sources = _Sources(collection, job.limit, job.shard)
    async with opened(
        job.settings, job.out, job.cache, collection.root, sources.ring, job.lent, roles, collection.fetched
    ) as context:
        with published_metrics(job.settings.resources) as metrics:
            watched = Several(progress, metrics) if metrics else progress
            await _run_in(context, job, sources, watched)


async def _run_in(context: OpenRun, job: Job, sources: _Sources, progress: Progress) -> None:
    made = stages(context)
    use = job.settings.resources

    def concurrency() -> int:
        return max(use.concurrency, _AHEAD * context.frames.pool.places) if use.ray else use.concurrency

    engine = Engine(context.ledger, concurrency=concurrency, progress=progress, passage=context.lookup.passage)
    again: dict[str, Any] = {"retry_failed": job.retry_failed, "renew": job.renew}
    if not engine.is_current(made[-1].name, made, sources, **again):
        from hardcut.pipeline.note_made_with import note_made_with  # a start with nothing to do asks no versions

        note_made_with(job.out, job.settings)
        context.teachers.hold_replies(job.out, made)
        if not engine.is_current(NegativeStage.name, made, sources, **again):
            note_kept_pairs(job.out, context.ledger)
    with atomic_writer(job.out / "run.toml") as file:
        file.write(format_settings(context.settings))
    if isinstance(progress, Watcher):
        progress.asking(context.activity, _calls_at_once(job.settings))
    held = sources.held(job.sample) if job.sample is not None else None
    await engine.run(made, sources, until=job.until, **again, held=held)


def _calls_at_once(settings: Settings) -> int:
    """How many calls the servers of a run may have in flight."""
    servers = [each for each in settings.asked if each.spec.startswith("openai:")]
    return sum((each.concurrency or settings.resources.concurrency) * (1 + len(each.urls)) for each in servers)


class _Sources:
    """All files in the folder as the run's sources, `ring` its videos. Each iteration gives the same.

    Videos come in the order of their ring, so that a video's neighbours come soon after it. Files that are not taken
    are sources too, so that the ledger has every file by name.
    """

    def __init__(self, collection: Collection, limit: int | None, shard: Shard | None) -> None:
        self._files = {file.video_id: file for file in collection.files[:limit]}
        self._skipped = collection.skipped if shard is None or shard.number == 1 else ()
        whole = Ring(self._files)
        self.ring = Ring(shard.of(whole.videos)) if shard else whole

    def held(self, sample: int) -> Callable[[str, str], bool]:
        """What is left for later where only the first `sample` videos are done, which fell by digest. Those of which
        their counterfactuals take things get captions too, so that nothing differs from a run over all videos."""
        taken, told = (frozenset(self.ring.videos[: sample + more]) for more in (0, NEIGHBOURS))
        known = frozenset(self.ring.videos)

        def is_held(stage: str, unit: str) -> bool:
            return unit in known and unit not in (taken if stage in _OF_SAMPLE else told)

        return is_held

    def __iter__(self) -> Iterator[Source]:
        for video_id in self.ring.videos:
            file = self._files[video_id]
            yield Source(video_id, file.fingerprint, file)
        for item in self._skipped:
            yield Source(f"./{item.item}", item.reason, item)
