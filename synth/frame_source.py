"""The stored frames of a run's videos, for the stages that look at pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.pool import Pool
from hardcut.media.fetched import FetchedFiles
from hardcut.media.frames import FrameSet
from hardcut.media.ingest import Ingested, ingest
from hardcut.media.store import FrameStore, former_survey_digest, sampling_digest, survey_digest
from hardcut.media.survey import Survey
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Video
from hardcut.schemas.settings import MediaSettings


@dataclass(frozen=True, slots=True)
class FrameSource:
    """Frames out of the store at `store`; a video is decoded again only where its frames were cleared away.

    `root` is the collection's folder, which every video's path is under; `limit_bytes` is the size of the store.
    `fetched` brings the videos there where they lie elsewhere.
    """

    root: Path
    store: Path
    media: MediaSettings
    pool: Pool
    limit_bytes: int | None = None
    fetched: FetchedFiles | None = None

    @property
    def sampling(self) -> str:
        """Names the sampling: part of the key of every stage that looks at frames."""
        return sampling_digest(self.media)

    @property
    def survey(self) -> str:
        """The same for stages that look at cuts and movement."""
        return survey_digest(self.media)

    @property
    def former_survey(self) -> str:
        """What it was named for these settings when less of a long video was looked at."""
        return former_survey_digest(self.media)

    @asynccontextmanager
    async def leased(self, video: Video) -> AsyncIterator[FrameSet]:
        """The video's stored frames, which stay in the store as long as the context lasts.

        Raises ItemError where it has to be decoded again and is another one by now.
        """
        store = FrameStore(self.store)
        with store.lease(video.sha256):
            stored = store.get(video.sha256, self.media)
            if stored is None:
                stored = (await self._ingest(video)).frames
            yield stored

    @asynccontextmanager
    async def looked_at(self, video: Video) -> AsyncIterator[Survey]:
        """What of the video is kept for cuts and movement, as long as the context lasts. Raises as `of`."""
        store = FrameStore(self.store)
        with store.lease(video.sha256):
            survey = store.get_survey(video.sha256, self.media)
            if survey is None:
                again = await self._ingest(video, surveyed=True)
                survey = again.survey
            if survey is None:
                raise ItemError("changed", f"{video.path} could not be looked at: start the run again")
            yield survey

    @asynccontextmanager
    async def at_hand(self, video: Video) -> AsyncIterator[None]:
        """As long as the context lasts, the video and its subtitles lie under `root`. Raises ItemError where they
        cannot be fetched."""
        if self.fetched is None:
            yield
        else:
            beside = ((each.path, each.sha256) for each in video.subtitles)
            async with self.fetched.held(*beside, (video.path, video.sha256)):
                yield

    async def _ingest(self, video: Video, *, surveyed: bool = False) -> Ingested:
        path = str(self.root / video.path)
        async with self.at_hand(video):
            again = await self.pool.call(ingest, path, str(self.store), self.media, self.limit_bytes, surveyed)
        if again.probe.sha256 != video.sha256:
            raise ItemError("changed", f"{video.path} changed during the run: start the run again")
        return again
