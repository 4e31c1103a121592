"""Who scores, by name: what was scored before goes on only with the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hardcut.engine.file_digests import FileDigests
from hardcut.pipeline import rerank
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.rerank import Reranking
from hardcut.schemas.settings import MediaSettings


def test_other_weights_profiles_and_versions_of_libraries_score_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Reranking("m", *(tmp_path / name for name in ("run", "queries", "videos", "out")), 10)
    digests = FileDigests(tmp_path / "digests.sqlite")

    def named(weights: str = "one", **more: str) -> str:
        model = tmp_path / weights
        model.mkdir(exist_ok=True)
        (model / "model.safetensors").write_text(weights)
        return rerank._named("transformers", str(model), replace(asked, **more), digests)

    monkeypatch.setattr(rerank, "versions", lambda: {"transformers": "5.24.0", "torch": "2.13.0"})
    names = [named(), named("other"), named(profile="rankvideo"), named(revision="v1")]
    monkeypatch.setattr(rerank, "versions", lambda: {"transformers": "5.9.0", "torch": "2.13.0"})
    names.append(named())
    assert len(set(names)) == 5
    assert names[-1] == named()


def test_the_videos_that_composed_queries_start_from_are_read_with_them(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text(
        '{"query_id": "q1", "text": "the same, but red", "kind": "composed", "reference_video_id": "a"}\n'
        '{"query_id": "q2", "text": "a red ball"}\n'
    )
    (tmp_path / "run.trec").write_text("q1 Q0 b 1 2.0 x\nq2 Q0 a 1 1.0 x\n")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"")
    asked = Reranking("m", *(tmp_path / name for name in ("run.trec", "queries.jsonl", "videos", "out")), 10)
    job = rerank._job(asked, cache_folder(tmp_path / "cache"), MediaSettings(), 4, "m")
    assert job.references == {"q1": "a"} and set(job.queries) == {"q1", "q2"}
