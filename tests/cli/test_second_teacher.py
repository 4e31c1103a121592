"""A run with another teacher looks at the frames that are stored already."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hardcut.data.render import render_world
from hardcut.data.world import make_world
from hardcut.media.store import FrameStore
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.pipeline.progress import TerminalProgress
from hardcut.schemas.config import load_settings
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import TeacherLabel, Video


def test_another_teacher_decodes_nothing(tmp_path: Path, teacher_server: Any) -> None:
    render_world(make_world(61, clips=2, families=("ball",)), tmp_path / "world")
    cache = cache_folder(tmp_path / "cache")
    backends = set()
    for name, spec in (("first", "evidence"), ("second", f"openai:test@{teacher_server.url}")):
        settings = load_settings(None, {"teacher.spec": spec, "resources.workers": 2})
        with TerminalProgress() as progress:
            asyncio.run(carry_out(Job(tmp_path / "world" / "videos", tmp_path / name, settings, cache), progress))
        backends |= {label.teacher.backend for label in read_records(tmp_path / name / TeacherLabel.FILE, TeacherLabel)}
        store = FrameStore(cache.frames)
        videos = list(read_records(tmp_path / name / Video.FILE, Video))
        assert len(videos) == 2
        assert [store.decodes(video.sha256, settings.media) for video in videos] == [1, 1]
    assert backends == {"evidence", "openai"}
