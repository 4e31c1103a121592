"""What a run would ask its teachers, made by its own stages out of the records that are there. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hardcut.cli.paths import Cache
from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Unit, UnitStage
from hardcut.media.store import FrameStore
from hardcut.schemas.base import Record
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Caption, Evidence, Pair, Query, Sampling, TeacherRef, Video
from hardcut.schemas.settings import Settings, TeacherSettings
from hardcut.synth.captions import CaptionStage
from hardcut.synth.frames import Frames
from hardcut.synth.queries import QueryStage
from hardcut.synth.scores import Judge, ScoreStage
from hardcut.teacher.protocol import Outcome, Refusal, Request, Task, Teacher
from hardcut.teacher.registry import open_teacher

R = TypeVar("R", bound=Record)

TASKS: Mapping[Task, str] = {"caption": "captions", "queries": "queries", "judge": "scores"}
"""The stage that asks each task."""


@dataclass(slots=True)
class _Listener:
    """Stands where a teacher would and writes down what it is asked."""

    teacher: Teacher
    heard: list[Request] = field(default_factory=list)

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return self.teacher.describe(task, sampling)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        self.heard += requests
        return [Refusal("not_sent", "nothing is sent")] * len(requests)

    async def ping(self) -> str:
        return await self.teacher.ping()

    async def close(self) -> None:
        await self.teacher.close()


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that a stage would make of a teacher."""

    stage: str
    teacher: TeacherSettings
    request: Request


class Records:
    """The records of a run's files, by video. A file that is not there has none."""

    def __init__(self, run: Path) -> None:
        self.videos = {video.video_id: video for video in _read(run, Video)}
        self.queries = {query.query_id: query for query in _read(run, Query)}
        self._about: dict[str, list[Record]] = {video_id: [video] for video_id, video in self.videos.items()}
        self.of_kind: dict[type[Record], set[str]] = {kind: set() for kind in (Evidence, Caption, Pair)}
        for kind in self.of_kind:
            for record in _read(run, kind):
                self._about.setdefault(record.about, []).append(record)
                self.of_kind[kind].add(record.about)

    def unit(self, video_id: str) -> Unit:
        """All records about a video."""
        return Unit(video_id, tuple(self._about[video_id]))


async def asked(settings: Settings, run: Path, cache: Cache, tasks: Sequence[Task], video: str | None) -> list[Asked]:
    """The requests of some tasks about one video or about all, as far as the run's records and stored frames tell."""
    records = Records(run)
    if video is not None and video not in records.videos:
        raise UsageError(
            f"{run}: no video {video!r} there: `hardcut run VIDEOS --out {run} --until evidence` brings it"
        )
    found: list[Asked] = []
    with WorkerPool(1, settings.resources.decode_timeout_s) as pool:
        frames = Frames(root=Path(), store=cache.frames, media=settings.media, pool=pool)
        for task in tasks:
            for teacher, stage, listener in _stages(settings, task, frames, records):
                wanted = [video] if video is not None else sorted(records.videos)
                for video_id in wanted:
                    await _listen(stage, records.unit(video_id), frames)
                found += [Asked(TASKS[task], teacher, request) for request in listener.heard]
                await listener.close()
    return found


async def _listen(stage: UnitStage, unit: Unit, frames: Frames) -> None:
    video = unit.one(Video)
    if FrameStore(frames.store).get(video.sha256, frames.media) is None:
        return
    with suppress(ItemError):  # the refusal that it got
        await stage.run(unit)


def _stages(
    settings: Settings, task: Task, frames: Frames, records: Records
) -> Iterator[tuple[TeacherSettings, UnitStage, _Listener]]:
    for teacher in settings.judges if task == "judge" else (settings.teacher,):
        listener = _Listener(open_teacher(teacher, settings.resources))
        stage: UnitStage
        if task == "caption":
            stage = CaptionStage(listener, frames, teacher.sampling, settings.captions)
        elif task == "queries":
            stage = QueryStage(listener, frames, teacher.sampling, settings.queries)
        else:
            judge = Judge(listener, teacher.sampling)
            stage = ScoreStage([judge], frames, records.queries.__getitem__, settings.scores.samples)
        yield teacher, stage, listener


def _read(run: Path, kind: type[R]) -> Iterator[R]:
    path = run / kind.FILE
    return read_records(path, kind) if path.exists() else iter(())
