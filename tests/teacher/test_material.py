"""A writer of queries is told the material of its view alone, whatever prompt shows it."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from hardcut.schemas.records import QueryKind, Sampling
from hardcut.schemas.text.words import STOP_WORDS, words
from hardcut.synth.query_forms import INTENTS, KINDS, PERSONAS
from hardcut.teacher.brief import Briefing
from hardcut.teacher.prompts.bounds import bounded_schema, bounds_of
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.prompts.reply_models import QueriesReply, WrittenView
from hardcut.teacher.protocol import Request

SOURCES = {
    "caption": "A trip.",
    "speech": "follow me to the garden",
    "sound": "a choir far away",
    "ocr": "Grand Hotel",
    "metadata": "A Short Trip to Austria",
}
"""A text that only one view may see, by view."""
TOLD = {
    "caption": {"caption", "ocr"},
    "all": set(SOURCES),
    **{view: {view} for view in ("speech", "sound", "ocr", "metadata")},
}
"""A claim of the caption tells what can be read, and so does the view."""


def asked(inputs: dict[str, Any], view: str) -> Request:
    forms = [
        {"view": each, "length": "short", "words": 8, "style": "plain", "kind": "event", "persona": f"who asks {each}",
         "intent": "to see"}
        for each in get_args(WrittenView)
    ]  # fmt: skip
    more = {"view": view, "kinds": list(KINDS[view]), "forms": forms, "written": ["a query of another view"]}
    return Request("queries", {**inputs["queries"], **more}, Sampling(), (), QueriesReply)


@pytest.mark.parametrize("looked", [{}, {"looked_s": 20.0}])
@pytest.mark.parametrize("view", get_args(WrittenView))
def test_nothing_of_another_view_is_in_the_prompt(view: str, looked: Any, inputs: dict[str, Any]) -> None:
    inputs["queries"]["video"] |= looked
    heard = {"id": "e_sing", "kind": "sound", "text": SOURCES["sound"], "start": 2.0, "end": 9.0, "confidence": 0.9}
    inputs["queries"]["evidence"].append(heard)
    request = Briefing().brief(asked(inputs, view)).request
    prompt = Prompts().fill(request).user
    assert {source for source, text in SOURCES.items() if text in prompt} == TOLD[view]
    assert set(re.findall(r"who asks (\w+)", prompt)) == {view}
    assert ("a query of another view" in prompt) == (view == "all")
    everything = repr(request.inputs)
    assert {source for source, text in SOURCES.items() if text in everything} == TOLD[view], "for prompts of one's own"


def test_a_reply_is_of_its_view_and_of_a_kind_that_the_view_can_bear(inputs: dict[str, Any]) -> None:
    bounds = bounds_of(asked(inputs, "speech"))
    assert bounds
    fields: Any = bounded_schema(QueriesReply, bounds)["$defs"]["QueryReply"]  # type: ignore[index, call-overload]
    assert fields["properties"]["view"]["enum"] == ["speech"]
    assert "contradiction" not in fields["properties"]["kind"]["enum"]
    assert list(fields["properties"]).index("denies") < list(fields["properties"]).index("text")
    assert fields["required"] == list(fields["properties"]) and "default" not in fields["properties"]["denies"]


def test_every_kind_can_be_asked_for_of_some_view() -> None:
    assert {kind for kinds in KINDS.values() for kind in kinds} == set(get_args(QueryKind)) - {"composed"}
    assert len(set(PERSONAS)) == len(PERSONAS) and len(set(INTENTS)) == len(INTENTS)


def test_the_examples_of_a_prompt_name_nothing_twice() -> None:
    """What several examples name, a small model writes of every video."""
    system = Prompts().fill(_empty()).system
    examples = re.findall(r'\("([^"]+)"', system)
    assert len(examples) >= 8
    named = [{word for word in words(example) if word not in STOP_WORDS and len(word) > 3} for example in examples]
    for at, one in enumerate(named):
        for other in named[at + 1 :]:
            assert not one & other


def _empty() -> Request:
    given: dict[str, Any] = {
        "video": {"duration_s": 1.0}, "evidence": [], "caption": "", "claims": [], "view": "all", "kinds": ["event"],
        "per_view": 1, "max_words": 9, "forms": [], "written": [],
    }  # fmt: skip
    return Request("queries", given, Sampling(), (), QueriesReply)
