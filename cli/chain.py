"""The chain of a run: which stages there are, in which order, and what each is handed."""

from __future__ import annotations

import asyncio
import difflib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hardcut.cli.paths import Cache
from hardcut.engine.budget import CallBudget
from hardcut.engine.files import atomic_writer
from hardcut.engine.ledger import Ledger
from hardcut.engine.pool import WorkerPool
from hardcut.engine.progress import Progress
from hardcut.engine.reply_cache import ReplyCache
from hardcut.engine.run import Engine
from hardcut.engine.stage import Source, Stage, Unit
from hardcut.media.collection import Collection, scan
from hardcut.publish.judgments import JudgmentStage
from hardcut.schemas.config import format_settings
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Caption, Query, Video
from hardcut.schemas.settings import Settings, TeacherSettings
from hardcut.schemas.trec import read_run
from hardcut.schemas.user_judgments import read_judgments
from hardcut.synth.captions import CaptionStage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.duplicates import DuplicateStage, SignatureStage
from hardcut.synth.evidence.speech import open_recogniser
from hardcut.synth.evidence.stage import EvidenceStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.negatives import NegativeStage
from hardcut.synth.probe import ProbeStage
from hardcut.synth.queries import QueryStage
from hardcut.synth.rewrites import RewriteStage
from hardcut.synth.scores import Judge, ScoreStage
from hardcut.synth.twins import TwinStage
from hardcut.synth.user_queries import UserQueryStage, read_queries
from hardcut.teacher.protocol import Teacher
from hardcut.teacher.registry import open_teacher

STAGES = (
    "probe",
    "signatures",
    "duplicates",
    "evidence",
    "captions",
    "twins",
    "queries",
    "counterfactuals",
    "negatives",
    "scores",
    "judgments",
)
"""The stages that a run can be stopped after. A user's own queries, where there are any, are read before `probe`, and
what reviewers reworded, once somebody has reviewed, behind `counterfactuals` (`rewrites`)."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is asked to do. `limit` takes the first videos by id, `until` stops after a stage."""

    videos: Path
    out: Path
    settings: Settings
    cache: Cache
    limit: int | None = None
    until: str | None = None
    retry_failed: bool = False


def run_chain(job: Job, progress: Progress) -> Collection:
    """Carries the run out, as far as it is not done already, and returns what was found on the disk.

    All that the user gave is looked at first, so that a wrong line is told before an hour's work and not after it.
    Raises UsageError, MissingDependency, StorageError, BudgetReached; whatever was finished before stays.
    """
    settings = job.settings
    if job.until is not None and job.until not in STAGES:
        close = difflib.get_close_matches(job.until, STAGES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"--until {job.until!r}: no such stage; {hint} there are: {', '.join(STAGES)}")
    queries, first_stage, manifest, judgments = (
        Path(given) if given else None
        for given in (
            settings.inputs.queries,
            settings.inputs.first_stage,
            settings.inputs.manifest,
            settings.inputs.judgments,
        )
    )
    if queries:
        read_queries(queries)
    if first_stage:
        read_run(first_stage)
    if judgments:
        read_judgments(judgments)
    collection = scan(job.videos, manifest, ours=(job.out, job.cache.root))
    with ExitStack() as stack:
        replies = stack.enter_context(ReplyCache(job.cache.replies))
        ledger = stack.enter_context(Ledger(job.out))
        budget = CallBudget(ledger, settings.budget)
        teachers = {
            each: open_teacher(each, settings.resources, replies=replies, budget=budget)
            for each in (settings.teacher, *settings.judges)
        }
        pool = stack.enter_context(
            WorkerPool(settings.resources.workers or os.cpu_count() or 1, settings.resources.decode_timeout_s)
        )
        frames = FrameSource(
            root=collection.root,
            store=job.cache.frames,
            media=settings.media,
            pool=pool,
            limit_bytes=settings.resources.frames_limit_bytes,
        )
        stages = _stages(settings, frames, teachers, ledger, queries, first_stage, judgments)
        with atomic_writer(job.out / "run.toml") as file:
            file.write(format_settings(settings))
        engine = Engine(ledger, concurrency=settings.resources.concurrency, progress=progress)
        asyncio.run(_carry_out(engine, teachers.values(), stages, _Sources(collection, job.limit), job))
    return collection


async def _carry_out(
    engine: Engine, teachers: Iterable[Teacher], stages: Sequence[Stage], sources: Iterable[Source], job: Job
) -> None:
    try:
        await engine.run(stages, sources, until=job.until, retry_failed=job.retry_failed)
    finally:
        for teacher in teachers:
            await teacher.close()


def _stages(
    settings: Settings,
    frames: FrameSource,
    teachers: Mapping[TeacherSettings, Teacher],
    ledger: Ledger,
    queries: Path | None,
    first_stage: Path | None,
    judgments: Path | None,
) -> list[Stage]:
    teacher, sampling = teachers[settings.teacher], settings.teacher.sampling
    judges = [Judge(teachers[each], each.sampling) for each in settings.judges]

    @lru_cache(maxsize=4096)
    def query(query_id: str) -> Query:
        found = ledger.find(Query, query_id)
        if found is None:
            raise ItemError("input", f"a pair names the query {query_id}, which is in no stage's output")
        return found

    def reference(video_id: str) -> Unit:
        video = ledger.find(Video, video_id)
        captions = ledger.bodies(Caption.__name__, video_id, before=sys.maxsize)
        told = [Caption.model_validate_json(body) for body in captions]
        return Unit(video_id, (*([video] if video else ()), *told))

    own: list[Stage] = [UserQueryStage(queries)] if queries else []
    reviews = ledger.run / Review.FILE
    return [
        *own,
        ProbeStage(frames.pool, frames.root, frames.store, settings.media, frames.limit_bytes),
        SignatureStage(frames, settings.duplicates),
        DuplicateStage(),
        EvidenceStage(
            frames,
            settings.evidence,
            open_recogniser(settings.evidence.speech, frames.pool, settings.resources),
        ),
        CaptionStage(teacher, frames, sampling, settings.captions),
        TwinStage(),
        QueryStage(teacher, frames, sampling, settings.queries),
        CounterfactualStage(teacher, judges, frames, sampling, settings.counterfactuals),
        *([RewriteStage(reviews)] if reviews.exists() else []),
        NegativeStage(settings.negatives, settings.filters, first_stage, judgments),
        ScoreStage(judges, frames, query, reference, settings.scores.samples),
        JudgmentStage(settings.judgments, settings.filters, judgments, reviews),
    ]


@dataclass(frozen=True, slots=True)
class _Sources:
    """Everything found on the disk as the run's sources, the same each time it is gone through.

    What was found and not taken is a source too, so that the books account for every file by name.
    """

    collection: Collection
    limit: int | None

    def __iter__(self) -> Iterator[Source]:
        for file in self.collection.files[: self.limit]:
            yield Source(file.video_id, file.fingerprint, file)
        for item in self.collection.skipped:
            yield Source(f"./{item.item}", item.reason, item)
