"""Questions of a run as batch files, for whoever can wait and pays half, and their answers into the cache of replies.

Files hold what the run's stages would ask now, out of its records: what rests on the answers is asked in a later round.
A run that goes on finds the answers in the cache.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from hardcut.engine.budget import CallBudget, current_stage
from hardcut.engine.ledger import Ledger
from hardcut.engine.reply_cache import ReplyCache
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.preview import RunRecords, preview
from hardcut.pipeline.stages import asking
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import Role, TeacherSettings
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.needs import needs_of
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.server.batch_files import BatchFiles, batch_line, read_results

_TOGETHER = 16
"""Questions that are made at a time."""


@dataclass(frozen=True, slots=True)
class BatchWritten:
    """The files, and how many questions of each stage are in them."""

    files: tuple[Path, ...]
    questions: dict[str, int]


@dataclass(frozen=True, slots=True)
class BatchRead:
    """What became of the lines: `kept` replies, those that were `known` before, `refused` ones by reason, `failed` by
    what the provider said, and `foreign` ones that answer no question of the run as it is."""

    kept: int
    known: int
    refused: dict[str, int]
    failed: dict[str, int]
    foreign: int


async def write_batch(run: Path, config: Path | None, cache: Cache, out: Path, stage: str | None) -> BatchWritten:
    """Writes what the run would ask now into the folder `out`. Raises UsageError where a file is there already."""
    files: list[Path] = []
    counts: Counter[str] = Counter()
    written: set[str] = set()
    names: set[str] = set()
    async for (name, teacher), asked, opened in _asked(run, _settings(run, config), cache, stage):
        names.add(place := file_name(name, teacher, names))
        with BatchFiles(out, place) as file:
            for start in range(0, len(asked), _TOGETHER):  # frames are large: a few questions at a time
                bodies = await opened.bodies(asked[start : start + _TOGETHER])
                new = bodies.keys() - written
                for key in (key for key in bodies if key in new):
                    file.add(batch_line(key, bodies[key]))
                counts[name] += len(new)
                written |= new
        files += file.written
    return BatchWritten(tuple(files), {name: count for name, count in counts.items() if count})


async def read_batch(run: Path, config: Path | None, cache: Cache, results: Sequence[Path]) -> BatchRead:
    """Takes output and error files of batches into the cache of replies; calls are booked in the run."""
    answers: dict[str, bytes] = {}
    failed: dict[str, str] = {}
    for key, body, said in read_results(results):
        if body is None:
            failed[key] = said
        else:
            answers[key] = body
    failed = {key: said for key, said in failed.items() if key not in answers}  # asked again in another file
    kept: set[str] = set()
    refused: Counter[str] = Counter()
    before: set[str] = set()
    answered: set[str] = set()
    async for (name, _), asked, opened in _asked(run, _settings(run, config), cache, None, booked=True):
        current_stage.set(name)
        outcomes, there = await opened.take_in(asked, answers)
        answered |= outcomes.keys()
        before |= there
        kept |= {key for key, outcome in outcomes.items() if isinstance(outcome, Reply)} - there
        refused.update(outcome.reason for outcome in outcomes.values() if not isinstance(outcome, Reply))
    foreign = len(answers.keys() - answered)
    return BatchRead(len(kept), len(before), dict(refused), dict(Counter(failed.values())), foreign)


async def _asked(
    run: Path, settings: Settings, cache: Cache, stage: str | None, *, booked: bool = False
) -> AsyncIterator[tuple[tuple[str, TeacherSettings], list[Request], CachedTeacher]]:
    """By stage and teacher all questions that the run's stages would ask now, and the teacher."""
    entries = [entry for entry in asking() if stage in (None, entry.name)]
    if not entries:
        raise UsageError(f"no stage {stage!r} asks a teacher; these do: {', '.join(each.name for each in asking())}")
    records = RunRecords(run)
    heard = await preview(settings, run, cache, records, entries, sorted(records.videos))
    asked: dict[tuple[str, TeacherSettings], list[Request]] = {}
    for each in heard:
        if not each.free:
            asked.setdefault((each.stage, each.teacher), []).append(each.request)
    roles: frozenset[Role] = frozenset(role for entry in entries for role in entry.roles)
    with ExitStack() as stack:
        replies = stack.enter_context(ReplyCache(cache.replies))
        budget = CallBudget(stack.enter_context(Ledger(run)), settings.budget) if booked else None
        for (name, teacher), requests in asked.items():
            async with _open(teacher, settings, cache, roles, replies, budget) as opened:
                yield (name, teacher), requests, opened


@asynccontextmanager
async def _open(
    teacher: TeacherSettings,
    settings: Settings,
    cache: Cache,
    roles: frozenset[Role],
    replies: ReplyCache,
    budget: CallBudget | None,
) -> AsyncIterator[CachedTeacher]:
    opened = open_teacher(
        teacher,
        settings.resources,
        main=settings.teacher,
        replies=replies,
        budget=budget,
        profiles=cache.profiles,
        needs=needs_of(settings, teacher, roles),
        without_margin=settings.scores.without_margin,
    )
    assert isinstance(opened, CachedTeacher), "others are free"
    try:
        yield opened
    finally:
        await opened.close()


def _settings(run: Path, config: Path | None) -> Settings:
    own = run / "run.toml"
    if config is None and not own.exists():
        raise UsageError(
            f"{run}: no run is there: `hardcut run VIDEOS --out {run} --until evidence` begins one; what is asked "
            "before (user_queries) needs --config alone"
        )
    return load_settings(config or own)


def file_name(stage: str, teacher: TeacherSettings, taken: Collection[str]) -> str:
    """What the files of a teacher's questions are called: by its model. Where several teachers of a stage differ in
    something else (an address, the sampling), the later ones are counted."""
    model = teacher.spec.partition(":")[2].partition("@")[0]
    name = f"{stage}-{re.sub(r'[^A-Za-z0-9._-]+', '_', model).strip('_') or 'teacher'}"
    others = (f"{name}.{number}" for number in count(2))
    return name if name not in taken else next(other for other in others if other not in taken)
