"""Scores of a diagnosis belong to one model."""

from __future__ import annotations

from pathlib import Path

from hardcut.pipeline.diagnose import Diagnosing, _scores_of
from hardcut.reranker.servers import FORMS


def test_models_of_one_name_and_one_that_was_trained_on_are_scored_apart(tmp_path: Path) -> None:
    job = Diagnosing(tmp_path, tmp_path, tmp_path / "out")
    for run in ("a", "b"):
        (tmp_path / run / "whole").mkdir(parents=True)
        (tmp_path / run / "whole" / "model.safetensors").write_bytes(run.encode())
    first, second = (_scores_of(f"transformers:{tmp_path / run / 'whole'}", job) for run in ("a", "b"))
    assert first[0] == second[0] == "whole" and first[1] != second[1]
    assert first == _scores_of(f"transformers:{tmp_path / 'a' / 'whole'}", job)
    (tmp_path / "a" / "whole" / "model.safetensors").write_bytes(b"trained on")
    assert _scores_of(f"transformers:{tmp_path / 'a' / 'whole'}", job)[1] != first[1]
    for form in FORMS:
        at = [_scores_of(f"{form}:team/reranker@http://127.0.0.1:{port}/v1", job) for port in (1, 2)]
        assert at[0] == at[1] and at[0][0] == "reranker", "who answers is not where it answers"
