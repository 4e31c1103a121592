"""What a new user sees first: the demo, on the bundled sample."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import load_dataset

INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "peft", "accelerate", "sentence_transformers"))
Process = Callable[..., subprocess.CompletedProcess[str]]


def test_the_demo_measures_first_stage_and_teacher_in_under_two_minutes(
    hardcut: Process, timed: Callable[..., tuple[subprocess.CompletedProcess[str], float]], tmp_path: Path
) -> None:
    done, took = timed("demo", "--out", tmp_path / "demo", "--cache", tmp_path / "cache", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    values = result["ndcg@10"]
    assert 0.4 < values["first stage"] < 0.7
    assert values["teacher"] > values["first stage"] + 0.05, "a teacher that reads and hears beats titles alone"
    assert Path(result["report"]).stat().st_size > 100_000, "the report holds pictures"
    pairs = load_dataset(result["dataset"], "pairs", cache_dir=str(tmp_path / "hf"))
    assert sum(split.num_rows for split in pairs.values()) > 500
    assert took < 120, f"the demo took {took:.0f} s of processor time"

    again = hardcut("demo", "--out", tmp_path / "demo", "--cache", tmp_path / "cache")
    assert again.returncode == 0, again.stderr
    assert f"first stage {values['first stage']:.3f}, teacher {values['teacher']:.3f}" in again.stdout
    for stage in ("probe", "evidence", "captions", "twins", "queries", "negatives", "scores", "judgments"):
        assert stage in again.stdout
    assert "report.html" in again.stdout and "dataset" in again.stdout


@pytest.mark.torch
@pytest.mark.skipif(not INSTALLED, reason="what trains is not installed: `make test-train`")
@pytest.mark.timeout(900)
def test_with_train_the_circle_is_closed(hardcut: Process, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = hardcut("demo", "--out", out, "--cache", tmp_path / "cache", "--train", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert 0 < result["ndcg@10"]["tiny reranker"] <= 1 and 0 < result["ndcg@10"]["random order"] < 1
    assert "tiny reranker" in Path(result["evaluation"]).read_text()
    told = json.loads((out / "model" / "ranks" / "train.json").read_text())
    assert told["steps"] > 20 and told["validation"] is not None and told["left_out"] == {}
    files = {path.name for path in (out / "model" / "ranks").iterdir()}
    assert {"model.safetensors", "chat_template.jinja", "modules.json", "README.md"} <= files
