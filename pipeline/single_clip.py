"""The stages of a run on a single clip, without a folder and without a ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hardcut.engine.file_digests import FileDigests
from hardcut.engine.pool import WorkerPool
from hardcut.engine.stage import Output, Unit
from hardcut.media.collection import find_video
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.context import Context, Teachers
from hardcut.pipeline.stages import entry
from hardcut.schemas.base import Record
from hardcut.schemas.errors import DropItem, ItemError
from hardcut.schemas.records import Caption, Pair, Query, TeacherLabel
from hardcut.schemas.settings import Settings
from hardcut.synth.frame_source import FrameSource
from hardcut.teacher.protocol import Teacher


@dataclass(frozen=True, slots=True)
class JudgedClip:
    """A teacher's verdict on a query and a clip. `label` is the whole record."""

    label: TeacherLabel

    @property
    def verdict(self) -> Literal["yes", "no", "unparsed"]:
        """Whether the clip answers the query; `unparsed` where the reply could not be read."""
        return self.label.verdict

    @property
    def margin(self) -> float | None:
        """log p(yes) - log p(no); None where the teacher gives no log-probabilities, a bound where `exact` is false."""
        return self.label.logit_margin

    @property
    def p_yes(self) -> float | None:
        """The sigmoid of the margin."""
        return self.label.p_yes

    @property
    def exact(self) -> bool:
        """Whether the margin is the difference of two log-probabilities that are both known."""
        return self.label.exact

    @property
    def reasoning(self) -> str:
        """What the teacher said before its answer."""
        return self.label.reasoning


@dataclass(slots=True)
class _Lookup:
    """The queries of the questions. No query here starts from another clip."""

    queries: dict[str, Query] = field(default_factory=dict)

    def query(self, query_id: str) -> Query:
        return self.queries[query_id]

    def reference(self, video_id: str) -> Unit:
        return Unit(video_id)

    def neighbours(self, video_id: str) -> list[Unit]:
        return []

    async def neighbours_ready(self, video_id: str) -> None:
        pass

    def changed(self, video_id: str) -> list[Query]:
        return []


class SingleClips:
    """A teacher with all that is needed to show it clips. Evidence of a clip is kept until the file changes."""

    def __init__(self, settings: Settings, cache: Cache) -> None:
        use = settings.resources
        self._lookup = _Lookup()
        self._pool = WorkerPool(use.workers or os.cpu_count() or 1, use.decode_timeout_s)
        self._cache = cache
        self._settings = settings
        self._teachers = Teachers(settings, cache.replies, FileDigests(cache.digests), profiles=cache.profiles)
        self._seen: dict[str, Unit] = {}

    @property
    def teacher(self) -> Teacher:
        """The teacher that is asked."""
        return self._teachers[self._settings.teacher]

    async def caption(self, clip: Path) -> Caption:
        """Raises UsageError for a file that is no video, ItemError where the clip or its caption cannot be used."""
        unit, context = await self._look(clip)
        [caption] = [record for record in await _made("captions", context, unit) if isinstance(record, Caption)]
        return caption

    async def judge(self, query: str, clip: Path, caption: Caption | None = None) -> JudgedClip:
        """Raises as `caption`."""
        unit, context = await self._look(clip)
        asked = Query.create(text=query, view="user", kind="event")
        pair = Pair.create(query_id=asked.query_id, video_id=unit.id, origins=("imported",), expected="unknown")
        self._lookup.queries[asked.query_id] = asked
        captions = [caption] if caption else []
        handed = Unit(unit.id, (*unit.records, *captions, pair))
        [label, *_] = [each for each in await _made("scores", context, handed) if isinstance(each, TeacherLabel)]
        return JudgedClip(label)

    async def close(self) -> None:
        """Ends the teacher and the worker processes."""
        await self._teachers.close()
        self._pool.close()

    async def _look(self, clip: Path) -> tuple[Unit, Context]:
        """Video and evidence, with the context of the clip's own folder."""
        file = find_video(clip)
        frames = FrameSource(
            Path(file.location).parent, self._cache.frames, self._settings.media, self._pool,
            self._settings.resources.frames_limit_bytes,
        )  # fmt: skip
        context = Context(self._settings, Path(), frames, self._teachers, self._lookup)
        if file.fingerprint not in self._seen:
            video = await _made("probe", context, Unit(file.video_id, payload=file))
            evidence = await _made("evidence", context, Unit(file.video_id, tuple(video)))
            self._seen[file.fingerprint] = Unit(file.video_id, (*video, *evidence))
        return self._seen[file.fingerprint], context


async def _made(name: str, context: Context, unit: Unit) -> Sequence[Record]:
    """What a stage makes of the unit. Raises ItemError where it fails, also in part, and DropItem where it drops it."""
    stage = entry(name).make(context)
    assert stage is not None and stage.kind == "unit"
    output: Output = await stage.run(unit)
    if output.failure is not None:
        raise ItemError(output.failure.reason, f"{unit.id}: {output.failure.detail}", output.failure.raw)
    if output.drop is not None:
        raise DropItem(output.drop.reason, f"{unit.id}: {output.drop.detail}")
    return output.records
