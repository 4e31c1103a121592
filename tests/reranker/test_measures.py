"""nDCG is trec_eval's, whatever the ties; and every query of the qrels counts."""

from __future__ import annotations

import builtins
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.reranker.measures import MEASURES, ndcg, ndcg_per_query, per_query
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
def test_every_measure_equals_pytrec_eval_with_ties_missing_queries_and_grades(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]
) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    theirs = {
        "nDCG@10": "ndcg_cut_10", "R@10": "recall_10", "R@100": "recall_100", "RR": "recip_rank", "AP": "map",
        "Success@1": "success_1", "Success@5": "success_5",
    }  # fmt: skip
    asked = {"ndcg_cut.10", "recall.10,100", "recip_rank", "map", "success.1,5"}
    reference = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    values = per_query(qrels, run)
    assert set(values) == set(MEASURES) == {*theirs, "Judged@10"}
    for query in qrels:
        for ours, name in theirs.items():
            expected = reference[query][name] if run.get(query) else 0.0
            assert values[ours][query] == pytest.approx(expected, abs=1e-9), ours
        best = ranking(run.get(query, {}))[:10]
        judged = sum(document in qrels[query] for document in best) / len(best) if best else 0.0
        assert values["Judged@10"][query] == pytest.approx(judged, abs=1e-9)


def test_a_query_that_the_run_lacks_counts_as_zero() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}}
    assert ndcg(qrels, {"q1": {"a": 1.0}}) == 0.5
    assert per_query(qrels, {"q1": {"a": 1.0}}, ["AP", "R@5"]) == {"AP": {"q1": 1, "q2": 0}, "R@5": {"q1": 1, "q2": 0}}


@given(
    qrels=st.dictionaries(QUERIES, st.dictionaries(DOCUMENTS, st.integers(-(10**6), 3), min_size=1), min_size=1),
    run=RUNS,
)
def test_a_grade_below_0_counts_as_0_in_every_measure(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]
) -> None:
    at_least_0 = {query: {name: max(0, grade) for name, grade in of.items()} for query, of in qrels.items()}
    measures = [*MEASURES, "nDCG", "P@5", "Rprec", "Bpref", "infAP", "NumRel", "SetF"]
    assert per_query(qrels, run, measures) == per_query(at_least_0, run, measures)


@pytest.mark.parametrize("name", ["nDGC@10", "nDCG@x", "", "nDCG(base=3)"])
def test_a_measure_that_there_is_not_is_told(name: str) -> None:
    with pytest.raises(UsageError, match="no measure of ir_measures"):
        per_query({"q": {"a": 1}}, {"q": {"a": 1.0}}, [name])


def test_a_measure_that_nothing_here_computes_is_told() -> None:
    with pytest.raises(UsageError, match="cannot be computed here: Unsupported measures"):
        per_query({"q": {"a": 1}}, {"q": {"a": 1.0}}, ["RBP"])


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
    with pytest.raises(MissingDependency, match=r'pip install "hardcut\[default\]"'):
        ndcg({"q": {"a": 1}}, {})


def test_exponential_gain_is_that_of_the_formula() -> None:
    """(1 + 3 / log2 3) / (3 + 1 / log2 3) by hand; with linear gain the part of an answer counts half, not a third."""
    qrels, run = {"q": {"a": 2, "b": 1}, "none": {"a": 0}}, {"q": {"b": 2.0, "a": 1.0}}
    name = "nDCG(dcg='exp-log2')@10"
    found = per_query(qrels, run, [name, "nDCG@10"])
    place = math.log2(3)
    assert found[name] == {"q": pytest.approx((1 + 3 / place) / (3 + 1 / place)), "none": 0}
    assert found["nDCG@10"]["q"] == pytest.approx((1 + 2 / place) / (2 + 1 / place))
    assert per_query(qrels, run, [name]) == {name: found[name]}
    with pytest.raises(UsageError, match="out of range"):
        per_query({"q": {"a": 20}}, run, [name])
