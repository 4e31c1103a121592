"""Who scores, by name: what was scored before goes on only with the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hardcut.engine.file_digests import FileDigests
from hardcut.pipeline import rerank
from hardcut.pipeline.rerank import Reranking


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
