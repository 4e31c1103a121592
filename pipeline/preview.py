"""The questions that a run would ask its teachers. The run's own stages make them from its records. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from hardcut.engine.file_digests import FileDigests
from hardcut.engine.pool import WorkerPool
from hardcut.engine.run_files import RunFiles
from hardcut.engine.so_far import records_so_far, settled_units
from hardcut.engine.stage import CollectionStage, Unit
from hardcut.media.store import FrameStore
from hardcut.pipeline.begun import as_begun
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.context import Context, Teachers
from hardcut.pipeline.stages import STAGES, Entry, asking
from hardcut.schemas.base import Record
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import DropItem, ItemError, UsageError
from hardcut.schemas.records import (
    TURNED,
    Caption,
    Evidence,
    EvidenceKind,
    Pair,
    Query,
    Sampling,
    TeacherRef,
    Tokens,
    Video,
)
from hardcut.schemas.settings import Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.schemas.triplets import Triplet
from hardcut.schemas.twin import Twin
from hardcut.synth.elsewhere import Ring
from hardcut.synth.frame_source import FrameSource
from hardcut.teacher.brief import Briefing
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.local.generation import prompt_of
from hardcut.teacher.protocol import NOT_SENT, Outcome, Refusal, Reply, Request, Task, Teacher
from hardcut.teacher.registry import open_teacher, prompts_of

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Question:
    """A request of a stage to a teacher about a video, or about none (`video` is empty). `kept`: its reply is in the
    cache, and `tokens` is what that took. `free`: it costs nothing."""

    stage: str
    video: str
    teacher: TeacherSettings
    request: Request
    kept: bool
    free: bool
    tokens: Tokens = field(default_factory=Tokens)


class RunRecords:
    """The records of a run by video, as its stages get them: those of its ledger, also of stages that are under way, or
    of its files where there is none. `settled` are the videos that a stage is done with."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self.videos = {record.id: record for record in self.read(Video)}
        self.queries = {record.id: record for record in self.read(Query)}
        self.settled = {entry.name: settled_units(run, entry.name) for entry in STAGES}
        self.asked_by_users = any(query.view == "user" for query in self.queries.values())
        self._about: dict[str, list[Record]] = {video_id: [video] for video_id, video in self.videos.items()}
        self.videos_with: dict[type[Record], set[str]] = {
            kind: set() for kind in (Evidence, Caption, Twin, Query, Pair)
        }
        self._turned: dict[str, list[Query]] = {}
        for query in self.queries.values():
            if query.about and query.variant not in TURNED:
                self._about.setdefault(query.about, []).append(query)
                self.videos_with[Query].add(query.about)
            elif query.about:
                self._turned.setdefault(query.about, []).append(query)
        self.evidence_kinds: dict[str, set[EvidenceKind]] = {}
        for kind in (Evidence, Caption, Twin, Pair):
            for record in self.read(kind):
                if isinstance(record, Evidence):
                    self.evidence_kinds.setdefault(record.video_id, set()).add(record.kind)
                self._about.setdefault(record.about, []).append(record)
                self.videos_with[kind].add(record.about)

    def read(self, kind: type[R]) -> Iterable[R]:
        """All records of a kind."""
        found = records_so_far(self._run, kind)
        return RunFiles(self._run).read(kind) if found is None else found

    def query(self, query_id: str) -> Query:
        return self.queries[query_id]

    def reference(self, video_id: str) -> Unit:
        """All records about a video."""
        return Unit(video_id, tuple(self._about[video_id]))

    def turned(self, video_id: str) -> list[Query]:
        """The queries that were made out of others of the video, of which only stages after that are told."""
        return self._turned.get(video_id, [])

    def neighbours(self, video_id: str) -> list[Unit]:
        ring = Ring(video for video in self.videos if video in self.videos_with[Caption])
        kinds = (Video, Caption, Evidence)
        return [
            Unit(other, tuple(record for record in self._about[other] if isinstance(record, kinds)))
            for other in ring.after(video_id)
        ]

    async def neighbours_ready(self, video_id: str) -> None:
        pass

    def changed(self, video_id: str) -> list[Query]:
        return []  # what a first run asks, whose replies are there


async def preview(
    settings: Settings, run: Path, cache: Cache, records: RunRecords, entries: Sequence[Entry], videos: Sequence[str]
) -> list[Question]:
    """What stages would ask about these videos, as far as the run's records, stored frames and replies allow."""
    questions: list[Question] = []
    settings = as_begun(settings, run)
    with WorkerPool(1, settings.resources.decode_timeout_s) as pool:
        frames, digests = FrameSource(Path(), cache.frames, settings.media, pool), FileDigests(cache.digests)
        for entry in entries:
            about = _About()

            def listen(
                each: TeacherSettings, teacher: Teacher, stage: str = entry.name, about: _About = about
            ) -> Teacher:
                return _Listener(stage, about, each, teacher, questions)

            kept = cache.replies if cache.replies.exists() else None
            teachers = Teachers(settings, kept, digests, listen=listen)
            stage = entry.make(Context(settings, run, frames, teachers, records))
            if stage is None:
                continue
            if stage.kind == "collection":
                await _prepared(stage)
                continue
            for video_id in videos:
                if FrameStore(frames.store).get(records.videos[video_id].sha256, frames.media) is not None:
                    about.video = video_id
                    with suppress(ItemError, DropItem):  # the refusal that it got
                        unit = records.reference(video_id)
                        more = records.turned(video_id) if Triplet in stage.makes else ()
                        await stage.run(replace(unit, records=(*unit.records, *more)))
            await teachers.close()
    return questions


async def _prepared(stage: CollectionStage) -> None:
    """What a stage that sees the whole collection asks before."""
    if prepared := getattr(stage, "prepared", None):
        await prepared()


async def messages(task: str, video: str | None, run: Path, config: Path | None, cache: Cache) -> list[dict[str, Any]]:
    """Every request of a task about a video, word for word: stage, teacher, options, and messages with the frames in
    their places. A task that is asked without a video needs none.

    Raises UsageError for an unknown task or video, and where the run is not yet far enough to ask it.
    """
    entry = next((each for each in asking() if task in each.asks), None)
    if entry is None:
        raise UsageError(f"no prompt {task!r}; there are: {', '.join(task for each in STAGES for task in each.asks)}")
    own = run / "run.toml"
    settings = load_settings(config or (own if own.exists() else None))
    records = RunRecords(run)
    alone = entry.stage.kind == "collection"
    if video is None and not alone:
        raise UsageError(f"{task} is asked about a video: name one with --video")
    if not alone and video not in records.videos:
        raise UsageError(
            f"{run}: no video {video!r} there: `hardcut run VIDEOS --out {run} --until evidence` brings it"
        )
    heard = await preview(settings, run, cache, records, [entry], [video] if video and not alone else [])
    found = [_message(each) for each in heard if each.request.task == task]
    if not found and alone:
        raise UsageError(f"{run}: no {task} is asked: no file of queries is given, or queries.decompose is off")
    if not found:
        raise UsageError(
            f"{run}: stage {entry.name} asks no {task} about {video!r} yet: its frames, or the records and replies "
            f"before that are missing (`hardcut run` with --until brings them), or nothing calls for it"
        )
    return found


def is_free(teacher: TeacherSettings) -> bool:
    """Whether the teacher costs nothing, so that its replies are not kept."""
    return not isinstance(open_teacher(teacher), CachedTeacher)


def _message(question: Question) -> dict[str, Any]:
    request = Briefing().brief(question.request).request
    prompt = prompt_of(request, prompts_of(question.teacher).fill(request))
    images: list[dict[str, object]] = [
        {"type": "image", "path": str(frame.path), "sha256": frame.sha256} for _, frame in request.pictures
    ]
    options: dict[str, Any] = request.sampling.model_dump(mode="json")
    if prompt.schema is not None:
        options["schema"] = prompt.schema
    return {
        "stage": question.stage,
        "teacher": question.teacher.spec,
        "options": options,
        "messages": prompt.messages(images, None),
    }


@dataclass(slots=True)
class _About:
    """Which video is asked about."""

    video: str = ""


@dataclass(frozen=True, slots=True)
class _Listener:
    """Takes a teacher's place and records its questions. Questions that cost nothing are passed on, so that a stage
    asks its next question too: those with a reply in the cache, and those to a teacher without a model."""

    stage: str
    about: _About
    settings: TeacherSettings
    teacher: Teacher
    heard: list[Question]

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return self.teacher.describe(task, sampling)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        if not isinstance(self.teacher, CachedTeacher):
            self.heard.extend(self._question(each, None, free=True) for each in requests)
            return await self.teacher.complete(requests)
        replies = self.teacher.stored(requests)
        for request, reply in zip(requests, replies, strict=True):
            self.heard.append(self._question(request, reply, free=False))
        unsent = Refusal(NOT_SENT, "nothing is sent")
        return [reply or unsent for reply in replies]

    def _question(self, request: Request, reply: Reply | None, *, free: bool) -> Question:
        took = reply.tokens if reply else Tokens()
        return Question(self.stage, self.about.video, self.settings, request, reply is not None, free, took)

    async def ping(self) -> str:
        return await self.teacher.ping()

    async def close(self) -> None:
        await self.teacher.close()
