"""Planted faults are found, and nothing is found where there is none."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hardcut.reranker.diagnosis.findings import diagnose
from hardcut.reranker.diagnosis.trials import Plan


def _simulated() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulated", Path(__file__).with_name("simulated.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated"] = module
    spec.loader.exec_module(module)
    return module


simulated = _simulated()


@pytest.fixture(scope="module")
def plan() -> Plan:
    return simulated.planned()


def _names(plan: Plan, fault: str | None, seed: int) -> set[str]:
    return {each.name for each in diagnose("model", plan, simulated.scored(plan, fault, seed)).findings}


EXPECTED = {
    "prior": {"the video's prior"},
    "frame order ignored": {"nuance: reversed", "order of frames"},
    "promoted text": {"promotion"},
    "static": {"order of frames", "direction without order: one-frame", "direction without order: shuffled"},
    "text decides": {"text in the picture"},
    "encoding": {"another encoding"},
    "words": {"the words' prior"},
}


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_planted_fault_is_found_and_no_other(plan: Plan, fault: str) -> None:
    found = [_names(plan, fault, seed) for seed in range(10)]
    print(f"\n{fault}: {found[0]} in {sum(each == EXPECTED[fault] for each in found)} of 10")
    assert all(each <= EXPECTED[fault] for each in found), found
    assert sum(each == EXPECTED[fault] for each in found) >= 9, found


def test_texts_that_were_trained_on_are_found() -> None:
    plan = simulated.planned(leaks=9)
    found = diagnose("model", plan, simulated.scored(plan, None, 0))
    leak = next(each for each in found.figures if each.name == "leak")
    assert [each.name for each in found.findings] == ["leak"]
    assert leak.share == 9 / leak.asked and "q0" in leak.note


def test_nothing_is_found_in_100_draws_of_a_clean_model(plan: Plan) -> None:
    found = [_names(plan, None, seed) for seed in range(100)]
    assert not any(found), [each for each in found if each]


def test_what_was_not_scored_is_no_all_clear(plan: Plan) -> None:
    run = simulated.scored(plan, None, 0)
    made = {each.id for each in plan.altered}
    alone = {query: {video: score for video, score in of.items() if video not in made} for query, of in run.items()}
    found = diagnose("model", plan, alone)
    verdicts = {each.name: each.verdict for each in found.figures}
    assert verdicts["promotion"] == verdicts["order of frames"] == verdicts["another encoding"] == "not looked"
    assert verdicts["nuance: reversed"] == "none" and found.scored < found.asked


def test_margins_are_in_the_order_of_what_tells_most(plan: Plan) -> None:
    found = diagnose("model", plan, simulated.scored(plan, "promoted text", 1))
    promotion = next(each for each in found.figures if each.name == "promotion")
    assert list(promotion.margins) == sorted(promotion.margins, reverse=True), "the highest rise first"
    assert promotion.moved is not None and 0.5 < promotion.moved < 1.2
    nuance = next(each for each in found.figures if each.name == "nuance: reversed")
    assert list(nuance.margins) == sorted(nuance.margins), "what it gets most wrong first"


def test_composed_queries_are_asked_with_the_video_that_they_start_from() -> None:
    from hardcut.reranker.diagnosis.trials import plan as drawn

    tables = simulated.Tables(0)
    for _, row in tables.tables["queries"]:
        if row["query_id"] == "q4":
            row["reference_video_id"] = "v9"
    found = drawn(tables, ("test",), ())
    assert found.references == {"q4": "v9"}
    assert "composed" in {trial.name for trial in found.trials}
    older = found.model_dump(mode="json")
    del older["references"]
    assert Plan.model_validate(older).references == {}, "as folders of earlier versions have it"
