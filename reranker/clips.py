"""The frames that training and scoring look at, out of the frame store; a video is decoded only where they are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hardcut.media.frames import Frame, FrameSet
from hardcut.media.ingest import ingest
from hardcut.media.store import FrameStore
from hardcut.reranker.examples import ClipRef
from hardcut.schemas.errors import DropItem, ItemError
from hardcut.schemas.settings import MediaSettings


@dataclass(frozen=True, slots=True)
class Clips:
    """Videos under `root`, their frames in the store at `store` under the sampling of `media`."""

    root: Path
    store: Path
    media: MediaSettings

    def prepare(self, videos: Iterable[ClipRef]) -> dict[str, str]:
        """Decodes what is not stored; says by id why a video cannot be used."""
        missing = {}
        for video in videos:
            try:
                self._stored(video)
            except (ItemError, DropItem) as error:
                missing[video.video_id] = str(error)
        return missing

    def frames(self, video: ClipRef, count: int) -> tuple[tuple[Path, float], ...]:
        """At most so many frames with their times, evenly spread. Raises ItemError where the video cannot be used."""
        return tuple((frame.path, frame.time_s) for frame in self._frames(video, count))

    def _frames(self, video: ClipRef, count: int) -> tuple[Frame, ...]:
        return self._stored(video).spread(count)

    def _stored(self, video: ClipRef) -> FrameSet:
        stored = FrameStore(self.store).get(video.sha256, self.media)
        if stored is not None:
            return stored
        path = (self.root / video.path).resolve()
        if not path.is_relative_to(self.root.resolve()):  # a dataset comes from outside
            raise ItemError("outside", f"{video.path} leads out of the folder of videos")
        if not path.is_file():
            raise ItemError("no_file", f"{video.path} is not in the folder of videos")
        found = ingest(str(path), str(self.store), self.media)
        if found.probe.sha256 != video.sha256:
            raise ItemError("changed", f"{video.path} is not the file that the dataset was made from")
        return found.frames
