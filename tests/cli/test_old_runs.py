"""Runs of earlier versions go on with this one: what they paid for is used, and nothing is asked again."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]

RUNS = Path(__file__).with_name("old_runs")
"""Made by `tests/tools/make_old_run.py`. Nobody listens at the address of their model: any question ends the run."""
TEACHERS = {"model": "openai:judge@http://127.0.0.1:9/v1", "evidence": "evidence"}
NEW = {"unchecked.jsonl"}
"""Files that no earlier version wrote."""
MADE_ANEW: dict[str, set[str]] = {"model": set(), "evidence": set()}
"""Files that a newer version of a stage, or of the `evidence` teacher, writes differently. Each with its reason."""


@pytest.fixture(scope="module", params=sorted(path.name.removesuffix(".tar.xz") for path in RUNS.glob("*.tar.xz")))
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of one version with their videos and cache, under another path than theirs; times of change kept."""
    folder = tmp_path_factory.mktemp(request.param)
    with tarfile.open(RUNS / f"{request.param}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder


def _files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.glob("*.jsonl")}


def _on_one_scale(judgments: bytes) -> bytes:
    """As the present version grades them: a teacher's yes was 1, and is what a person's *Answers it* is."""
    lines = [json.loads(line) for line in judgments.splitlines()]
    yes = ({"grade": 2} if line["source"] == "teacher" and line["grade"] else {} for line in lines)
    graded = ({**line, **changed} for line, changed in zip(lines, yes, strict=True))
    return "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in graded).encode()


@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("state", ["whole", "killed"])
def test_a_run_of_an_earlier_version_goes_on_and_nobody_is_asked(
    old: Path, hardcut: Process, teacher: str, state: str
) -> None:
    expected = _files(old / teacher / "whole")
    run = old / teacher / state
    spent = json.loads(hardcut("status", run, "--json").stdout)["spend"]
    folders = ["--out", run, "--cache", old / "cache", "--config", old / "settings.toml"]
    done = hardcut("run", old / "videos", *folders, "--teacher", TEACHERS[teacher], "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    status = json.loads(done.stdout)
    assert status["finished"]
    found = _files(run)
    kept = found.pop("kept.jsonl")
    expected.pop("kept.jsonl", None)
    assert kept.count(b"\n") >= (expected["pairs.jsonl"].count(b"\n") if state == "whole" else 1), "scored pairs stay"
    assert found.keys() == expected.keys() | NEW
    expected["judgments.jsonl"] = _on_one_scale(expected["judgments.jsonl"])
    assert [name for name in expected if found[name] != expected[name] and name not in MADE_ANEW[teacher]] == []
    assert status["spend"] == spent, "not one more call"


@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_stopped_run_goes_on_up_to_the_first_stage_that_asks_otherwise(
    old: Path, hardcut: Process, teacher: str
) -> None:
    """It had no counterfactual yet. They are written in blocks now, by a prompt that nobody was asked before."""
    run = old / teacher / "stopped"
    expected = _files(old / teacher / "whole")
    spent = json.loads(hardcut("status", run, "--json").stdout)["spend"]
    folders = ["--out", run, "--cache", old / "cache", "--config", old / "settings.toml", "--until", "queries"]
    done = hardcut("run", old / "videos", *folders, "--teacher", TEACHERS[teacher], "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["spend"] == spent, "not one more call"
    found = _files(run)
    for name in ("videos.jsonl", "evidence.jsonl", "captions.jsonl"):
        assert found[name] == expected[name]
    written = [line for line in expected["queries.jsonl"].splitlines() if b'"parent_query_id":null' in line]
    assert written and set(written) <= set(found["queries.jsonl"].splitlines())
