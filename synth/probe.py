"""Stage probe: the facts of a file, and its frames decoded once into the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import JsonValue

from hardcut.engine.files import sha256_of
from hardcut.engine.pool import Pool
from hardcut.engine.stage import Earlier, Output, Unit
from hardcut.media.fetched import FetchedFiles
from hardcut.media.ingest import ingest
from hardcut.media.store import former_survey_digest, sampling_digest, survey_digest
from hardcut.media.video_files import Skipped, SubtitleFile, VideoFile
from hardcut.schemas.base import Record
from hardcut.schemas.errors import DropItem, ItemError
from hardcut.schemas.records import Subtitles, Video
from hardcut.schemas.settings import MediaSettings

_MENDABLE = frozenset(
    {"unreadable", "name_not_utf8", "name_too_long", "host_not_allowed", "not_a_url", "unusable", "listed_twice"}
)
"""Reasons to pass a file over that its owner can mend: it fails. Everything else that is no video is left out."""


@dataclass(frozen=True, slots=True)
class ProbeStage:
    """Makes the Video of each source whose payload is a VideoFile under `root`.

    A damaged video is used as far as it decodes and says what is missing; with `media.strict` it fails. A video that
    yields no picture fails, one longer or larger than the settings allow is left out (`too_long`, `too_large`).
    `surveyed`: evidence will look for cuts or movement, and the one pass over the video keeps what it needs. `fetched`
    brings files under `root` that lie elsewhere.
    """

    pool: Pool
    root: Path
    store: Path
    media: MediaSettings
    limit_bytes: int | None = None
    surveyed: bool = False
    fetched: FetchedFiles | None = None

    kind: ClassVar[Literal["unit"]] = "unit"
    name: ClassVar[str] = "probe"
    version: ClassVar[int] = 4
    over: ClassVar[None] = None
    reads: ClassVar[tuple[type[Record], ...]] = ()
    makes: ClassVar[tuple[type[Record], ...]] = (Video,)

    @property
    def settings(self) -> Mapping[str, JsonValue]:
        limits = self.media.model_dump(include={"strict", "max_duration_s", "max_source_pixels"})
        look = survey_digest(self.media) if self.surveyed else None
        return {"sampling": sampling_digest(self.media), "look": look, **limits}

    @property
    def earlier(self) -> Sequence[Earlier]:
        """Version 3, which looked at less of a long video by default. Version 2, which did not say for how long it
        looked, and version 1, which took repeated pictures and time stamps that start again for damage."""
        former = {**self.settings, "look": former_survey_digest(self.media) if self.surveyed else None}
        settings = {name: value for name, value in self.settings.items() if name != "look"}
        return (Earlier(3, former), Earlier(2, settings), Earlier(1, settings))

    async def run(self, unit: Unit) -> Output:
        file = unit.payload
        if isinstance(file, Skipped):
            error = ItemError if file.reason in _MENDABLE else DropItem
            raise error(file.reason, file.detail)
        if not isinstance(file, VideoFile):
            raise TypeError(f"the payload of {unit.id} is no VideoFile")
        async with self._at_hand(file.relative) as [known]:
            ingested = await self.pool.call(
                ingest, str(file.path), str(self.store), self.media, self.limit_bytes, self.surveyed, known
            )
        async with self._at_hand(*(self._relative(each.path) for each in file.subtitles)):
            subtitles = await asyncio.to_thread(self._subtitles, file.subtitles)
        metadata = await asyncio.to_thread(file.read)
        facts, frames = ingested.probe, ingested.frames
        video = Video(
            video_id=file.video_id,
            path=file.relative,
            sha256=facts.sha256,
            size_bytes=facts.size_bytes,
            duration_s=frames.duration_s,
            fps=facts.fps,
            width=facts.width,
            height=facts.height,
            rotation=facts.rotation,
            codec=facts.codec,
            video_streams=facts.video_streams,
            has_audio=facts.has_audio,
            complete=frames.complete,
            missing=frames.missing,
            looked_s=ingested.survey.looked_s if ingested.survey else 0.0,
            subtitles=subtitles,
            metadata=metadata,
        )
        return Output(records=(video,))

    @asynccontextmanager
    async def _at_hand(self, *files: str) -> AsyncIterator[list[str | None]]:
        """Their digests, where they are known, of files that are there as long as the context lasts."""
        if self.fetched is None:
            yield [None] * len(files)
        else:
            async with self.fetched.held(*((file, None) for file in files)) as held:
                yield [each.sha256 for each in held]

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root.resolve()).as_posix()

    def _subtitles(self, files: tuple[SubtitleFile, ...]) -> tuple[Subtitles, ...]:
        found = []
        for path, language in files:
            try:
                sha256 = sha256_of(path)
            except OSError as error:
                raise ItemError("unreadable", f"subtitles {path.name}: {error.strerror}") from error
            found.append(Subtitles(path=self._relative(path), sha256=sha256, language=language))
        return tuple(found)
