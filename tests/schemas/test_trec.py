"""TREC files: what is written is read back, and what is wrong is named by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import TrecRun, format_run, ranking, read_qrels, read_run


def test_ties_are_broken_by_id_highest_first() -> None:
    assert ranking({"a": 1.0, "c": 1.0, "b": 2.0}) == ["b", "c", "a"]


def test_a_run_survives_the_file(tmp_path: Path) -> None:
    run = {"q2": {"a": 0.1 + 0.2, "b": -3.0}, "q1": {"x": 1e-17}}
    path = tmp_path / "run.trec"
    path.write_text("".join(format_run(run, "bm25")))
    assert path.read_text().splitlines()[0] == "q1 Q0 x 1 1e-17 bm25"
    assert read_run(path) == TrecRun("bm25", run)


@pytest.mark.parametrize(
    "query, document, tag", [("q 1", "d", "t"), ("q", "a\tb", "t"), ("q", "d", "my run"), ("q", "", "t")]
)
def test_what_trec_cannot_hold_is_refused(query: str, document: str, tag: str) -> None:
    with pytest.raises(UsageError, match="white space"):
        list(format_run({query: {document: 1.0}}, tag))


@pytest.mark.parametrize(
    "line, message",
    [
        ("q1 0 d1", "line 3: 3 columns, expected 4"),
        ("q1 0 d1 1.5", "line 3: grade '1.5' is not a whole number"),
        ("q1 0 d0 1", "line 3: query q1 lists document d0 a second time"),
    ],
)
def test_bad_qrels_name_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text(f"q1 0 d0 2\n\n{line}\n")
    with pytest.raises(UsageError, match=rf"qrels\.txt, {message}"):
        read_qrels(path)


@pytest.mark.parametrize("score, message", [("high", "is not a number"), ("nan", "is not finite")])
def test_bad_runs_name_file_and_line(tmp_path: Path, score: str, message: str) -> None:
    path = tmp_path / "first.trec"
    path.write_text(f"q1 Q0 d1 1 {score} t\n")
    with pytest.raises(UsageError, match=rf"first\.trec, line 1: score '{score}' {message}"):
        read_run(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("q1 Q0 a 1 2 x\nq2 Q0 a 2 1 y\n", "line 2: the run is called 'y' here and 'x' before"),
        ("\n", "no line of a run in it"),
    ],
)
def test_a_file_holds_one_run(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.trec").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_run(tmp_path / "run.trec")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_qrels(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_qrels(tmp_path / "binary.txt")


def test_graded_judgments_stay_graded(tmp_path: Path) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text("1 0 100 3\n1 0 101 -1\n2 0 100 0\n")
    assert read_qrels(path) == {"1": {"100": 3, "101": -1}, "2": {"100": 0}}
