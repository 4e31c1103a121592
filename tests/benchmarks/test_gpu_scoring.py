"""What is measured on a GPU goes through on a CPU, with a tiny model (`make test-vllm`)."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_scoring.py"
VLLM = importlib.util.find_spec("vllm") is not None


def rehearsed(*options: str) -> dict[str, Any]:
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, str(SCRIPT), "--rehearse", "--pairs", "30", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.rindex("{\n") :])
    return found


@pytest.mark.torch
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")),
    reason="torch and transformers are not installed",
)
def test_pairs_are_scored_and_counted() -> None:
    found = rehearsed("--backend", "transformers")
    assert found["pairs"] == 30 and found["pairs_per_s"] > 0
    assert found["prompt_tokens_a_pair"] > found["of_these_shared"] > 0 and found["completion_tokens_a_pair"] == 1
    tokens = (found["prompt_tokens_a_pair"] + 1) * found["pairs_per_s"]
    assert found["tokens_per_s"] == pytest.approx(tokens, rel=0.02)
    assert found["of_bench"] is None


@pytest.mark.vllm
@pytest.mark.timeout(900)
@pytest.mark.skipif(not VLLM, reason="vllm is not installed: `make test-vllm`")
def test_what_judges_write_is_held_against_the_bare_engine() -> None:
    found = rehearsed("--backend", "vllm", "--reasoning", "32", "--bench")
    assert found["pairs"] == 30 and 1 <= found["completion_tokens_a_pair"] <= 33, "a tiny model may end at once"
    assert found["of_bench"] == pytest.approx(found["tokens_per_s"] / found["bench_tokens_per_s"], abs=0.02)
