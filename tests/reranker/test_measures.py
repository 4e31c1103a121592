"""nDCG is trec_eval's, whatever the ties; and every query of the qrels counts."""

from __future__ import annotations

import builtins
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.reranker.measures import ndcg, ndcg_per_query, ranking, read_qrels, read_run, write_run
from hardcut.schemas.errors import MissingDependency, UsageError

DOCUMENTS = st.sampled_from([f"d{i}" for i in range(14)])
QUERIES = st.sampled_from([f"q{i}" for i in range(5)])
QRELS = st.dictionaries(QUERIES, st.dictionaries(DOCUMENTS, st.integers(0, 3), min_size=1), min_size=1)
# Few values, all exact in single precision: many ties, and none that only trec_eval's floats would see.
RUNS = st.dictionaries(QUERIES, st.dictionaries(DOCUMENTS, st.sampled_from([-1.5, 0.0, 0.25, 1.0, 7.0])))


@given(qrels=QRELS, run=RUNS, k=st.integers(1, 12))
def test_equals_pytrec_eval_with_ties_and_missing_queries(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]], k: int
) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    reference = pytrec_eval.RelevanceEvaluator(qrels, {f"ndcg_cut.{k}"}).evaluate(run)
    values = ndcg_per_query(qrels, run, k)
    assert set(values) == set(qrels)
    for query in qrels:
        expected = reference[query][f"ndcg_cut_{k}"] if run.get(query) else 0.0
        assert values[query] == pytest.approx(expected, abs=1e-9)
    assert ndcg(qrels, run, k) == pytest.approx(sum(values.values()) / len(qrels), abs=1e-12)


@given(qrels=QRELS, run=RUNS)
def test_equals_the_formula(qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> None:
    def gain(grades: list[int]) -> float:
        return sum(grade / math.log2(place + 2) for place, grade in enumerate(grades[:10]))

    for query, value in ndcg_per_query(qrels, run).items():
        best = gain(sorted(qrels[query].values(), reverse=True))
        got = gain([qrels[query].get(document, 0) for document in ranking(run.get(query, {}))])
        assert value == pytest.approx(got / best if best else 0.0, abs=1e-9)


def test_scores_that_differ_only_in_double_precision_are_no_ties() -> None:
    qrels = {"q": {"a": 1, "b": 0}}
    assert ndcg(qrels, {"q": {"a": 1.00000001, "b": 1.0}}) == 1.0
    assert ndcg(qrels, {"q": {"a": 1.0, "b": 1.00000001}}) == pytest.approx(1 / math.log2(3))


def test_ties_are_broken_by_id_highest_first() -> None:
    assert ranking({"a": 1.0, "c": 1.0, "b": 2.0}) == ["b", "c", "a"]


def test_no_query_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(UsageError, match="no query"):
        ndcg({}, {"q": {"a": 1.0}})


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "ir_measures":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r'pip install "hardcut\[eval\]"'):
        ndcg({"q": {"a": 1}}, {})


def test_a_run_survives_the_file(tmp_path: Path) -> None:
    run = {"q2": {"a": 0.1 + 0.2, "b": -3.0}, "q1": {"x": 1e-17}}
    path = tmp_path / "run.trec"
    write_run(path, run, "bm25")
    assert path.read_text().splitlines()[0] == "q1 Q0 x 1 1e-17 bm25"
    assert read_run(path) == run
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.trec"]


@pytest.mark.parametrize(
    "query, document, tag", [("q 1", "d", "t"), ("q", "a\tb", "t"), ("q", "d", "my run"), ("q", "", "t")]
)
def test_what_trec_cannot_hold_is_refused_before_anything_is_written(
    tmp_path: Path, query: str, document: str, tag: str
) -> None:
    with pytest.raises(UsageError, match="white space"):
        write_run(tmp_path / "run.trec", {query: {document: 1.0}}, tag)
    assert not list(tmp_path.iterdir())


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
