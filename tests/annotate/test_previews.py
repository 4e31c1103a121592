"""A clip is as large as a server takes it, where that can be had by making it smaller."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hardcut.annotate.previews import Previews
from hardcut.data.bundled import sample_files
from hardcut.engine.pool import WorkerPool
from hardcut.media.probe import probe
from hardcut.schemas.records import Query, Video
from hardcut.schemas.settings import MediaSettings, ReviewSettings


def test_a_clip_that_is_too_large_is_made_smaller(tmp_path: Path) -> None:
    query = Query.create(text="a reel", view="user", kind="event")
    with sample_files() as sample, WorkerPool(1, 60) as pool:
        root = sample / "videos"
        path = next(root.rglob("reel-01-a.mp4"))
        facts = probe(path)
        video = Video(
            video_id="reel", path=path.relative_to(root).as_posix(), sha256=facts.sha256, size_bytes=1,
            duration_s=facts.duration_s, fps=25, width=8, height=8, codec="h264", video_streams=1, has_audio=True,
            complete=True,
        )  # fmt: skip

        def size(limit: int | None) -> int:
            made = Previews(root, tmp_path, tmp_path, MediaSettings(), ReviewSettings(), pool, limit)
            found = asyncio.run(made.preview(query, video, whole=True))
            assert found.clip is not None, found.note
            return (tmp_path / found.clip).stat().st_size

        whole = size(None)
        assert size(whole) == whole
        assert size(whole - 1) < whole - 1, "the next smaller one fits"
        assert size(1) < size(whole - 1), "nothing fits: the smallest there is"
