"""`hardcut diagnose` as a user calls it: over a run of the demo's kind, with scores that were made elsewhere."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def dataset(hardcut: Process, world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A dataset, its videos, and a cache."""
    folder = tmp_path_factory.mktemp("diagnose")
    run, cache, out = folder / "run", folder / "cache", folder / "dataset"
    done = hardcut("run", world / "videos", "--out", run, "--cache", cache)
    assert done.returncode == 0, done.stderr
    done = hardcut("export", run, "--out", out)
    assert (out / "hardcut.json").is_file(), done.stderr
    return out, world / "videos", cache


@pytest.mark.timeout(900)
def test_the_folder_is_made_once_and_runs_of_others_are_read(
    hardcut: Process, dataset: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    data, videos, cache = dataset
    line = ("diagnose", data, "--videos", videos, "--out", tmp_path / "out", "--cache", cache, "--split", "train")
    line = (*line, "--most", "4")
    first = hardcut(*line)
    assert first.returncode == 0, first.stderr
    assert "videos made" in first.stdout and "--model" in first.stdout, "it says what is next"
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "videos").iterdir()}
    assert made
    for name, scored in (("run.trec", "theirs.trec"), ("made.trec", "theirs.made.trec")):
        lines = (tmp_path / "out" / name).read_text().splitlines()
        pairs = [(query, video) for query, _, video, *_ in map(str.split, lines)]
        text = "".join(f"{query} Q0 {video} 1 {len(query + video) % 7}.5 theirs\n" for query, video in pairs)
        (tmp_path / scored).write_text(text)
    again = hardcut(*line, "--run", tmp_path / "theirs.trec", "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    (found,) = told["diagnoses"]
    assert found["name"] == "theirs" and found["scored"] == found["asked"] > 0
    names = {figure["name"]: figure["verdict"] for figure in found["figures"]}
    assert names["leak"] == "none" and names["promotion"] == "not looked", "four trials are too few"
    assert "Hardcut diagnosis" in (tmp_path / "out" / "diagnosis.html").read_text()
    assert made == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "videos").iterdir()}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--split", "tests"], "'tests' is no split"),
        (["--videos", "nowhere"], "nowhere: no such folder of videos"),
    ],
)
def test_what_is_wrong_is_told(
    hardcut: Process, dataset: tuple[Path, Path, Path], tmp_path: Path, change: list[str], told: str
) -> None:
    data, videos, cache = dataset
    line = ("diagnose", data, "--videos", videos, "--out", tmp_path / "out", "--cache", cache, "--split", "train")
    done = hardcut(*line, *change)
    assert done.returncode == 2 and told in done.stderr
