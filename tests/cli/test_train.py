"""`hardcut train` as a user calls it: what it would take, and what is wrong."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]
INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "peft", "accelerate", "sentence_transformers"))
LARGE = ("--videos", ".", "--model", "Qwen/Qwen3-VL-8B-Instruct", "--out", "out")


@pytest.mark.torch
@pytest.mark.skipif(not INSTALLED, reason="what trains is not installed: `make test-train`")
def test_a_real_size_is_planned_from_its_config_alone(hardcut: Process, tmp_path: Path) -> None:
    done = hardcut("train", "ranking", "data", *LARGE, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["parameters"] == 8_767_123_696, "as published"
    layers, rank = 36, 16
    widths = (4096 + 4096, 4096 + 1024, 4096 + 1024, 4096 + 4096, 4096 + 12288, 4096 + 12288, 12288 + 4096)
    assert told["trainable"] == layers * rank * sum(widths)
    assert told["fits"] and 20e9 < told["memory_bytes"] < 40e9
    assert told["tokens_a_pair"] == 12 * (20 * 11 + 10) + 110
    assert told["tokens_a_step"] == 8 * 3 * (told["tokens_a_pair"] + 2 * 2 * 40) and 3 < told["seconds_a_step"] < 60
    assert told["counterfactual_tokens"] == 8 * 4 * 40 and told["unpacked_tokens"] == 8 * 7 * told["tokens_a_pair"]
    lines = hardcut("train", "ranking", "data", *LARGE, "--dry-run").stdout.splitlines()
    assert f"{told['unpacked_tokens']:,} a step if each had its video again" in "\n".join(lines)
    config = tmp_path / "full.toml"
    config.write_text('[train]\nmethod = "full"\n')
    full = json.loads(hardcut("train", "ranking", "data", *LARGE, "--dry-run", "--json", "-c", config).stdout)
    assert not full["fits"] and full["trainable"] == full["parameters"]
    assert full["seconds_a_step"] > told["seconds_a_step"]
    wrong = hardcut("train", "ranking", "data", "--videos", ".", "--model", "x/y", "--out", "out", "--dry-run")
    assert wrong.returncode == 2 and "Qwen/Qwen3-VL-8B-Instruct" in wrong.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (("rank", "data", *LARGE), "'rank' is no training: perception, then ranking; or embedding"),
        (("ranking", "nothing", *LARGE), "no groups in it"),
        (("perception", "nothing", *LARGE, "--start", "."), "--start is for ranking"),
        (("ranking", "nothing", *LARGE, "-c", "nothing.toml"), "no such settings file"),
        (("ranking", "nothing", *LARGE, "--also", "more=much"), "'much' is no weight"),
        (("embedding", "triplets.csv", *LARGE, "--also", "more"), "--also is for rerankers"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_loaded(hardcut: Process, line: tuple[str, ...], told: str) -> None:
    done = hardcut("train", *line)
    assert done.returncode == 2 and told in done.stderr


@pytest.mark.skipif(INSTALLED, reason="what trains is installed")
def test_without_the_extra_it_says_how_to_get_it(hardcut: Process) -> None:
    done = hardcut("train", "ranking", "data", *LARGE, "--dry-run")
    assert done.returncode == 4 and 'pip install "hardcut[train]"' in done.stderr
