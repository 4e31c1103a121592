"""What a run would ask its teachers, made by its own stages out of the records that are there. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hardcut.cli.paths import Cache
from hardcut.engine.pool import WorkerPool
from hardcut.engine.reply_cache import ReplyCache
from hardcut.engine.stage import Unit, UnitStage
from hardcut.media.store import FrameStore
from hardcut.schemas.base import Record
from hardcut.schemas.errors import DropItem, ItemError, UsageError
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import COUNTERFACTUAL, Caption, Evidence, Pair, Query, Sampling, TeacherRef, Twin, Video
from hardcut.schemas.settings import Settings, TeacherSettings
from hardcut.synth.captions import CaptionStage
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.frame_source import FrameSource
from hardcut.synth.queries import QueryStage
from hardcut.synth.scores import Judge, ScoreStage
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.protocol import Outcome, Refusal, Request, Task, Teacher
from hardcut.teacher.registry import open_teacher

R = TypeVar("R", bound=Record)

TASKS: Mapping[Task, str] = {
    "caption": "captions",
    "check": "captions",
    "refine": "captions",
    "queries": "queries",
    "compose": "queries",
    "paraphrase": "queries",
    "translate": "queries",
    "same": "queries",
    "counterfactual": "counterfactuals",
    "judge": "scores",
}
"""The stage that asks each task. Stage counterfactuals asks judgments too, the same that scores asks later."""
ASKING = ("captions", "queries", "counterfactuals", "scores")
"""The stages that ask a teacher, in order."""


@dataclass(slots=True)
class _Listener:
    """Stands where a teacher would and writes down what it is asked. It passes on what costs nothing, so that what a
    stage asks next is heard too: replies that are in the cache, and what a teacher without a model says."""

    teacher: Teacher
    heard: list[Request] = field(default_factory=list)

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return self.teacher.describe(task, sampling)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        self.heard += requests
        if not isinstance(self.teacher, CachedTeacher):
            return await self.teacher.complete(requests)
        unsent = Refusal("not_sent", "nothing is sent")
        return [reply or unsent for reply in self.teacher.stored(requests)]

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
        self.of_kind: dict[type[Record], set[str]] = {kind: set() for kind in (Evidence, Caption, Twin, Query, Pair)}
        for query in self.queries.values():
            if query.about and query.variant not in COUNTERFACTUAL:  # those are made out of the others
                self._about.setdefault(query.about, []).append(query)
                self.of_kind[Query].add(query.about)
        for kind in (Evidence, Caption, Twin, Pair):
            for record in _read(run, kind):
                self._about.setdefault(record.about, []).append(record)
                self.of_kind[kind].add(record.about)

    def unit(self, video_id: str) -> Unit:
        """All records about a video."""
        return Unit(video_id, tuple(self._about[video_id]))


async def asked(
    settings: Settings, run: Path, cache: Cache, stages: Sequence[str], video: str | None, replies: ReplyCache | None
) -> list[Asked]:
    """What some stages would ask about one video or about all, as far as the run's records, stored frames and replies
    tell."""
    records = Records(run)
    if video is not None and video not in records.videos:
        raise UsageError(
            f"{run}: no video {video!r} there: `hardcut run VIDEOS --out {run} --until evidence` brings it"
        )
    found: list[Asked] = []
    with WorkerPool(1, settings.resources.decode_timeout_s) as pool:
        frames = FrameSource(root=Path(), store=cache.frames, media=settings.media, pool=pool)
        for name in stages:
            listeners = {
                each: _Listener(open_teacher(each, settings.resources, replies=replies))
                for each in (settings.teacher, *settings.judges)
            }
            stage = _stage(name, settings, frames, listeners, records)
            for video_id in [video] if video is not None else sorted(records.videos):
                await _listen(stage, records.unit(video_id), frames)
            for teacher, listener in listeners.items():
                found += [Asked(name, teacher, request) for request in listener.heard]
                await listener.close()
    return found


async def _listen(stage: UnitStage, unit: Unit, frames: FrameSource) -> None:
    video = unit.one(Video)
    if FrameStore(frames.store).get(video.sha256, frames.media) is None:
        return
    with suppress(ItemError, DropItem):  # the refusal that it got
        await stage.run(unit)


def _stage(
    name: str, settings: Settings, frames: FrameSource, teachers: Mapping[TeacherSettings, Teacher], records: Records
) -> UnitStage:
    teacher, sampling = teachers[settings.teacher], settings.teacher.sampling
    judges = [Judge(teachers[each], each.sampling) for each in settings.judges]
    if name == "captions":
        return CaptionStage(teacher, frames, sampling, settings.captions)
    if name == "queries":
        return QueryStage(teacher, frames, sampling, settings.queries)
    if name == "counterfactuals":
        return CounterfactualStage(teacher, judges, frames, sampling, settings.counterfactuals)
    return ScoreStage(judges, frames, records.queries.__getitem__, records.unit, settings.scores.samples)


def _read(run: Path, kind: type[R]) -> Iterator[R]:
    path = run / kind.FILE
    return read_records(path, kind) if path.exists() else iter(())
