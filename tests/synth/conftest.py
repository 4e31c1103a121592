"""Hand-made videos and frames for the stages' tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hardcut.media.frames import Frame
from hardcut.schemas.records import Video

MakeVideo = Callable[..., Video]
StoreFrames = Callable[[Sequence[Image.Image], float], list[Frame]]


@pytest.fixture
def make_video() -> MakeVideo:
    """A Video record of 10 s with the fields given."""

    def make(video_id: str = "clips/one", **fields: Any) -> Video:
        facts = {
            "path": f"{video_id}.mp4",
            "sha256": hashlib.sha256(video_id.encode()).hexdigest(),
            "size_bytes": 1,
            "duration_s": 10.0,
            "fps": 25.0,
            "width": 640,
            "height": 360,
            "codec": "h264",
            "video_streams": 1,
            "has_audio": True,
            "complete": True,
        }
        return Video.model_validate({"video_id": video_id, **facts, **fields})

    return make


@pytest.fixture
def store_frames(tmp_path: Path) -> StoreFrames:
    """Pictures written as the JPEGs of a frame store, one every 1/fps seconds."""

    def store(pictures: Sequence[Image.Image], fps: float) -> list[Frame]:
        folder = tmp_path / "frames"
        folder.mkdir(exist_ok=True)
        frames = []
        for index, picture in enumerate(pictures):
            path = folder / f"{index:05d}.jpg"
            picture.save(path, quality=90)
            frames.append(Frame(path, index / fps, hashlib.sha256(path.read_bytes()).hexdigest()))
        return frames

    return store
