"""The replies' schemas keep to what strict structured outputs allow; the rest is checked on reading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from hardcut.teacher.prompts.reply_models import (
    CaptionReply,
    CheckReply,
    ComposeReply,
    CounterfactualReply,
    ParaphraseReply,
    QueriesReply,
    RefineReply,
    SameReply,
    TranslateReply,
)

CLAIM = {"text": "A door opens.", "start": 1.0, "end": 2.0, "evidence": ["e_1"]}
QUERY = {
    "text": "a door opens",
    "language": "pt-BR",
    "view": "caption",
    "kind": "event",
    "style": "plain",
    "facets": [],
}


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object type anywhere in a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    if isinstance(schema, list):
        for value in schema:
            yield from objects(value)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (CaptionReply, 2),
        (CheckReply, 2),
        (RefineReply, 2),
        (QueriesReply, 3),
        (ComposeReply, 2),
        (ParaphraseReply, 2),
        (TranslateReply, 2),
        (SameReply, 2),
        (CounterfactualReply, 3),
    ],
)
def test_schemas_are_strict(model: type[BaseModel], count: int) -> None:
    schema = model.model_json_schema()
    found = list(objects(schema))
    assert len(found) == count
    for each in found:
        assert each["additionalProperties"] is False
        assert sorted(each["required"]) == sorted(each["properties"])
    assert '"default"' not in json.dumps(schema)


def caption(**changes: Any) -> CaptionReply:
    return CaptionReply.model_validate({"short": "A door.", "claims": [{**CLAIM, **changes}]})


def queries(**changes: Any) -> QueriesReply:
    return QueriesReply.model_validate({"queries": [{**QUERY, **changes}]})


def test_what_is_right_is_taken() -> None:
    assert caption().claims[0].evidence == ("e_1",)
    assert caption(start=None, end=None).claims[0].start is None
    assert queries().queries[0].language == "pt-BR"


@pytest.mark.parametrize(
    "changes", [{"start": 3.0}, {"start": None}, {"start": -1.0}, {"text": "  "}, {"evidence": None}, {"more": 1}]
)
def test_a_wrong_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        caption(**changes)


@pytest.mark.parametrize(
    "changes", [{"language": "Portuguese (Brazil)"}, {"view": "user"}, {"kind": "other"}, {"text": ""}]
)
def test_a_wrong_query_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        queries(**changes)
