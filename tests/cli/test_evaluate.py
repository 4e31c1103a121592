"""`hardcut evaluate` as a user calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "qrels.txt").write_text("q1 0 a 2\nq1 0 b 0\nq2 0 c 1\nq2 0 a 0\n")
    (tmp_path / "first.trec").write_text("q1 Q0 b 1 2.0 first\nq1 Q0 a 2 1.0 first\nq2 Q0 c 1 1.0 first\n")
    (tmp_path / "again.trec").write_text("q1 Q0 b 1 1.0 again\nq1 Q0 a 2 9.0 again\n")
    return tmp_path


def test_runs_are_compared_and_a_page_is_written(hardcut: Process, files: Path) -> None:
    runs = ("--qrels", files / "qrels.txt", "--run", files / "first.trec", "--run", files / "again.trec")
    done = hardcut("evaluate", *runs, "--page", files / "page.html")
    assert done.returncode == 0, done.stderr
    assert "nDCG@10" in done.stdout and "again against first" in done.stdout
    assert "lacking   again: 1 queries, counted as 0: q2" in done.stdout
    assert "<h1>nDCG@10 of 2 runs</h1>" in (files / "page.html").read_text()
    told = hardcut("evaluate", *runs, "--measure", "RR", "--json")
    found = json.loads(told.stdout)
    assert found["measures"] == ["RR"]
    assert [run["measures"]["RR"]["mean"] for run in found["runs"]] == [0.75, 0.5]
    assert {row["query_id"]: row["values"] for row in found["per_query"]} == {
        "q1": {"first": 0.5, "again": 1.0},
        "q2": {"first": 1.0, "again": 0.0},
    }


def test_grades_below_0_are_measured_as_0(hardcut: Process, tmp_path: Path) -> None:
    """Two lines of -2: a segmentation fault of trec_eval's code, which reads beyond its tables there."""
    (tmp_path / "qrels").write_text("q0 0 d0 0\nq1 0 d2 -2\nq2 0 d0 1\nq2 0 d1 -2\n")
    (tmp_path / "run").write_text("q0 Q0 d2 1 4.0 t\nq1 Q0 d0 1 3.0 t\nq2 Q0 d1 1 3.0 t\nq2 Q0 d0 2 2.0 t\n")
    done = hardcut("evaluate", "--qrels", tmp_path / "qrels", "--run", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["queries"] == 3 and found["without_relevant"] == 2
    assert found["runs"][0]["measures"]["RR"]["mean"] == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--measure", "nDGC@10"], "'nDGC@10' is no measure"),
        (["--run", "nothing.trec"], "nothing.trec: cannot be read"),
        (["--dataset", "nothing"], "no hardcut.json in it"),
        (["--slice", "kind"], "name the dataset (--dataset)"),
    ],
)
def test_what_is_wrong_is_told(hardcut: Process, files: Path, change: list[str], told: str) -> None:
    done = hardcut("evaluate", "--qrels", files / "qrels.txt", "--run", files / "first.trec", *change)
    assert done.returncode == 2 and told in done.stderr
