"""The frames that training and scoring look at, out of the frame store; a video is decoded only where they are not."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hardcut.media.frames import Frame, FrameSet
from hardcut.media.ingest import ingest
from hardcut.media.store import FrameStore
from hardcut.reranker.examples import ClipRef
from hardcut.reranker.reference import reference_frames
from hardcut.schemas.errors import DamagedInput, DropItem, ItemError, StorageError
from hardcut.schemas.settings import MediaSettings
from hardcut.teacher.local.pair_prompt import DecodedClip, read_clip


@dataclass(frozen=True, slots=True)
class Clips:
    """Videos under `root`, their frames in the store at `store` under the sampling of `media`. A video that is not
    there, by its path and its bytes, is looked for under the roots of `further` datasets."""

    root: Path
    store: Path
    media: MediaSettings
    further: tuple[Path, ...] = ()

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

    def read(self, video: ClipRef, count: int) -> DecodedClip:
        """These frames as a model takes them. A video whose stored frames are damaged is decoded once more. Raises
        ItemError where it cannot be used."""
        try:
            return read_clip(self.frames(video, count))
        except OSError:
            for frame in self._frames(video, count):
                with suppress(DamagedInput):
                    frame.read()  # one that is damaged is removed
        try:
            return read_clip(self.frames(video, count))
        except OSError as error:
            raise ItemError("frames", f"its stored frames cannot be read: {error}") from error

    def _frames(self, video: ClipRef, count: int) -> tuple[Frame, ...]:
        return self._stored(video).spread(count)

    def _stored(self, video: ClipRef) -> FrameSet:
        stored = FrameStore(self.store).get(video.sha256, self.media)
        if stored is not None:
            return stored
        first: ItemError | DropItem | None = None
        for root in (self.root, *self.further):
            try:
                return self._decoded(root, video)
            except (ItemError, DropItem) as error:
                first = first or error
        assert first is not None, "there is one root"
        raise first

    def _decoded(self, root: Path, video: ClipRef) -> FrameSet:
        path = (root / video.path).resolve()
        if not path.is_relative_to(root.resolve()):  # a dataset comes from outside
            raise ItemError("outside", f"{video.path} leads out of the folder of videos")
        if not path.is_file():
            raise ItemError("no_file", f"{video.path} is not in the folder of videos")
        found = ingest(str(path), str(self.store), self.media)
        if found.probe.sha256 != video.sha256:
            raise ItemError("changed", f"{video.path} is not the file that the dataset was made from")
        return found.frames


class ClipReader:
    """Reads clips for training, which no video ends: one that cannot be read is noted in `unreadable` (why, by id), and
    said once."""

    def __init__(self, clips: Clips, frames: int) -> None:
        self._clips, self._frames = clips, frames
        self.unreadable: dict[str, str] = {}

    def read(self, video: ClipRef) -> DecodedClip | None:
        """None where it cannot be read."""
        return self._read(video, self._frames)

    def read_reference(self, video: ClipRef | None) -> DecodedClip | None:
        """The video that a query starts from. None where it starts from none, or it cannot be read."""
        return None if video is None else self._read(video, reference_frames(self._frames))

    def _read(self, video: ClipRef, frames: int) -> DecodedClip | None:
        try:
            return self._clips.read(video, frames)
        except (ItemError, DropItem, StorageError) as error:
            if video.video_id not in self.unreadable:
                print(f"left out: the video {video.video_id}: {error}", file=sys.stderr)
            self.unreadable[video.video_id] = str(error)
            return None


def stand_in() -> DecodedClip:
    """Two black frames, in the place of a clip that counts for nothing: so that every process makes every pass."""
    import numpy as np

    return DecodedClip(np.zeros((2, 64, 64, 3), dtype=np.uint8), (0.0, 0.0))
