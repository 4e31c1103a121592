"""An opened teacher that is handed to a run is the one that the run asks."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hardcut
from hardcut.engine.budget import current_stage
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.records import Sampling
from hardcut.teacher import function
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.local import process
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Reply, Request

OFF: dict[str, Any] = {
    "evidence.ocr": "off", "evidence.shots": False, "evidence.motion": False, "media.max_frames": 4,
    "teacher.sampling.max_frames": 2, "teacher.sampling.max_tokens": 40,
}  # fmt: skip
TINY = Path(__file__).resolve().parents[1] / "tiny_model.py"
INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


@pytest.mark.torch
@pytest.mark.skipif(not INSTALLED, reason="torch and transformers are not installed")
def test_a_model_is_loaded_once_by_its_teacher_and_the_runs_that_get_it(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "qwen3vl"
    subprocess.run([sys.executable, TINY, model], check=True, capture_output=True, timeout=500)
    started: list[Any] = []

    def start(*args: Any) -> Any:
        started.append(begun(*args))
        return started[-1]

    begun = process.start
    monkeypatch.setattr(process, "start", start)
    options: dict[str, Any] = {"cache": tmp_path / "cache", "limit": 1, **OFF}
    with hardcut.open_teacher(f"transformers:{model}", cache=tmp_path / "cache", **OFF) as teacher:
        first = hardcut.run(place / "videos", tmp_path / "first", teacher=teacher, until="captions", **options)
        assert len(started) == 1 and first.status().spend, "the model was asked, and loaded for it"
        judged = teacher.judge("a cat sleeps", next((place / "videos").iterdir()))
        again = {**options, "captions.max_words": 30}
        hardcut.run(place / "videos", tmp_path / "second", teacher=teacher, judges=[teacher], until="captions", **again)
        assert len(started) == 1 and judged.margin is not None
        assert started[0][0].poll() is None, "it is still loaded"
    assert started[0][0].poll() is not None, "and ends with its teacher"


async def test_a_lent_teacher_keeps_its_backend_and_has_books_of_its_own(tmp_path: Path) -> None:
    class Counting(function.FunctionTeacher):
        closed = 0

        async def close(self) -> None:
            self.closed += 1

    current_stage.set("test")
    function.register("lends", lambda asked: 2.5)
    backend = Counting("lends", None, Prompts())
    request = Request(
        "judge", {"query": "a cat", "video": {"duration_s": 4.0}, "evidence": [], "caption": None}, Sampling()
    )
    with ReplyCache(tmp_path / "replies") as replies:
        owner = CachedTeacher(backend)
        lent = owner.lent(replies, None)
        [reply] = await lent.complete([request])
        await lent.close()
        assert isinstance(reply, Reply) and lent.stored([request]) != [None] and owner.stored([request]) == [None]
        assert backend.closed == 0
    await owner.close()
    assert backend.closed == 1
