"""What a writer of queries is told: the material of its view and nothing of any other, so that nothing leaks between
views and a model of text alone can write all of them but `caption`.

It is cut here, for every model and for prompts of the user's own, whatever they would show. The `evidence` teacher is
told everything: what it denies has to be true of all evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import JsonValue

from hardcut.teacher.protocol import Request


def of_its_view(request: Request) -> Request:
    """The request with the inputs of its view alone; any other than `queries` about one view as it is.

    `caption` is written from the caption and its claims (and the frames), `speech`, `ocr` and `metadata` from evidence
    of that kind, `all` from everything that is told in words, and from what was already written for the other views.
    """
    view = request.inputs.get("view")
    if request.task != "queries" or not isinstance(view, str):
        return request
    inputs: dict[str, JsonValue] = {**request.inputs, "views": [view]}  # prompts of earlier versions ask for views
    inputs["forms"] = [each for each in _mappings(inputs.get("forms")) if each.get("view") == view]
    if view == "caption":
        claims: list[JsonValue] = [
            {name: part for name, part in each.items() if name != "evidence"} for each in _mappings(inputs["claims"])
        ]
        inputs |= {"evidence": [], "claims": claims}
    elif view != "all":
        evidence: list[JsonValue] = [line for line in _mappings(inputs["evidence"]) if line["kind"] == view]
        inputs |= {"evidence": evidence, "caption": "", "claims": []}
    if view != "all":
        inputs["written"] = []
    return replace(request, inputs=inputs)


def _mappings(items: JsonValue) -> list[Any]:
    return [each for each in items if isinstance(each, Mapping)] if isinstance(items, list | tuple) else []
