"""`hardcut synth text`: triplets out of captions or NLI files, carried out like a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.engine import Engine
from hardcut.engine.files import atomic_writer
from hardcut.engine.progress import Progress
from hardcut.engine.run_files import RunFiles
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.context import opened
from hardcut.pipeline.text_files import TextFile
from hardcut.publish._scratch import Scratch
from hardcut.publish.text_dataset import TextSummary, write_text_dataset
from hardcut.schemas.config import format_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Video
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import Role
from hardcut.schemas.triplets import Triplet
from hardcut.synth.text.text_triplets import TextTripletStage

DATASET = "dataset"
"""The folder of the dataset, in that of the run."""


@dataclass(frozen=True, slots=True)
class TextJob:
    """Texts to make triplets of. `column` is where captions stand, `limit` takes the first of them."""

    texts: Path
    out: Path
    settings: Settings
    cache: Cache
    column: str | None = None
    limit: int | None = None
    retry_failed: bool = False


async def synth_text(job: TextJob, progress: Progress) -> TextSummary:
    """Makes what is not made yet, then writes the dataset anew. What was paid for is never asked again.

    Raises UsageError naming file and line, MissingDependency, StorageError, BudgetReached.
    """
    if RunFiles(job.out).path(Video).exists():
        raise UsageError(f"{job.out}: a run over videos is there: name another folder with --out")
    with Scratch() as scratch:
        sources = TextFile.opened(job.texts, scratch, job.column, job.limit)
        roles: tuple[Role, ...] = ("queries",)
        async with opened(job.settings, job.out, job.cache, roles=roles) as context:
            writer = context.writer("queries")
            stage = TextTripletStage(writer.teacher, writer.sampling, job.settings.triplets)
            context.teachers.hold_replies(job.out, [stage])
            with atomic_writer(job.out / "run.toml") as file:
                file.write(format_settings(job.settings))
            engine = Engine(context.ledger, concurrency=job.settings.resources.concurrency, progress=progress)
            await engine.run([stage], sources, retry_failed=job.retry_failed)
    return write_text_dataset(job.out / DATASET, RunFiles(job.out).read(Triplet), job.settings)
