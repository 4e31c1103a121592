"""nDCG is trec_eval's, whatever the ties; and every query of the qrels counts."""

from __future__ import annotations

import builtins
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.reranker.measures import ndcg, ndcg_per_query
from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.trec import ranking

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
