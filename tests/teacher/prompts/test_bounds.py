"""Every reply has an end: bounds follow from what is asked, and a reply within them fits its limit of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from hardcut.schemas.records import Sampling
from hardcut.teacher.prompts.bounds import Bounds, bounded_schema, bounds_of, most_tokens
from hardcut.teacher.prompts.reply_models import CaptionReply, CheckReply, QueriesReply
from hardcut.teacher.protocol import Request, Task


def kinds(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "type" in schema:
            yield schema
        for value in schema.values():
            yield from kinds(value)
    if isinstance(schema, list):
        for value in schema:
            yield from kinds(value)


def bounds(task: Task, inputs: Any, model: type[BaseModel] | None) -> Bounds | None:
    return bounds_of(Request(task, inputs[task], Sampling(), reply=model))


def test_no_list_and_no_text_of_any_task_is_without_end(structured: Any, inputs: dict[str, Any]) -> None:
    for task, model in structured.items():
        found = bounds(task, inputs, model)
        assert found
        for each in kinds(bounded_schema(model, found)):
            if each["type"] == "array":
                assert "maxItems" in each, (task, each)
            if each["type"] == "string":
                assert {"maxLength", "enum", "pattern"} & each.keys(), (task, each)
            if each["type"] == "number":
                assert (each["minimum"], each["maximum"]) == (0, 20.0)
        assert 64 < most_tokens(model, found) < 10_000


def test_bounds_are_of_what_was_asked(inputs: dict[str, Any]) -> None:
    inputs["queries"]["per_view"] = 5
    schema = json.dumps(bounded_schema(QueriesReply, bounds("queries", inputs, QueriesReply) or Bounds(1)))
    assert '"maxItems": 5' in schema and '"enum": ["all"]' in schema
    assert '"enum": ["event", "temporal", "multi_hop"]' in schema
    checked = bounded_schema(CheckReply, bounds("check", inputs, CheckReply) or Bounds(1))
    verdict: Any = checked["$defs"]["VerdictReply"]["properties"]  # type: ignore[index, call-overload]
    assert verdict["number"]["enum"] == [1, 2]
    assert list(verdict) == ["number", "problem", "supported"], "a verdict rests on its reason"
    cited = bounded_schema(CaptionReply, bounds("caption", inputs, CaptionReply) or Bounds(1))
    claim: Any = cited["$defs"]["ClaimReply"]["properties"]  # type: ignore[index, call-overload]
    assert claim["evidence"]["items"]["enum"][0] == "e_shot1" and next(iter(claim)) == "evidence"


def test_bounds_change_nothing_of_what_fits(structured: Any, inputs: dict[str, Any]) -> None:
    """The same fields, all of them required: what a server without a grammar writes is read by the same model."""
    for task, model in structured.items():
        found = bounds(task, inputs, model)
        assert found
        given, bounded = model.model_json_schema(), bounded_schema(model, found)
        assert sorted(given["required"]) == sorted(bounded["required"])  # type: ignore[arg-type, type-var]
        assert bounds("judge", inputs, None) is None


@pytest.mark.parametrize("words", [10, 120, 400])
def test_a_longer_caption_has_more_room(words: int, inputs: dict[str, Any]) -> None:
    found = bounds_of(Request("caption", {**inputs["caption"], "max_words": words}, Sampling(), reply=CaptionReply))
    assert found and found.items == max(2, -(-words // 10))
