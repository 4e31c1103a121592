"""How long a reply may get: bounds on its schema, and the tokens that a reply within them takes.

A grammar without bounds lets a small model write an array without end. So each list has a most of items, each text a
most of characters, ids and numbers are those that were shown, and times lie within the video. What a text rests on
(evidence, facets, what is wrong) comes before it. Bounds follow from what is asked, and are no part of a key.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, JsonValue

from hardcut.teacher.protocol import Request

_SENTENCE = 240
"""Characters of a claim, of what is wrong with one, and of a short caption."""
_WORD = 8
"""Characters of a word, with its blank."""
_FACETS, _FACET = 6, 120
_DENIED, _DENIED_THING = 3, 60
_CITED = 6
_WORDS_A_CLAIM = 10
_LANGUAGE = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$"
_CHARACTERS_A_TOKEN = 2.5
"""Fewer than English has, so that the limit is seldom the end of a reply within its bounds."""
_LEAST_TOKENS = 64
_ORDER = (
    "number",
    "evidence",
    "kind",
    "denies",
    "facets",
    "reason",
    "problem",
    "view",
    "variant",
    "nuance",
    "style",
    "language",
)
"""Properties that come before all others: what a text or a verdict rests on."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a reply: `items` in its list, `text` characters of the text of each. `numbers`, `ids`, `choices` (views,
    variants or nuances) and `kinds` are those that were given, None or nothing where the task has none; `duration_s`
    is that of the video."""

    items: int
    text: int = _SENTENCE
    numbers: tuple[int, ...] | None = None
    ids: tuple[str, ...] | None = None
    choices: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ()
    duration_s: float | None = None


def bounds_of(request: Request) -> Bounds | None:
    """Those of a structured reply; None for a judge, and for a task that is not ours."""
    asked = request.inputs
    words = asked.get("max_words")
    text = _WORD * words if isinstance(words, int) else _SENTENCE
    video = asked.get("video")
    duration = video.get("duration_s") if isinstance(video, Mapping) else None
    seconds = float(duration) if isinstance(duration, int | float) else None
    ids = tuple(str(line["id"]) for line in _items(asked, "evidence"))
    match request.task:
        case "caption":
            most = -(-words // _WORDS_A_CLAIM) if isinstance(words, int) else 12
            return Bounds(max(2, most), ids=ids, duration_s=seconds)
        case "check" | "refine":
            claims = _numbers(asked, "claims")
            return Bounds(len(claims), numbers=claims, ids=ids, duration_s=seconds)
        case "queries":
            views = (str(asked["view"]),) if asked.get("view") else tuple(str(view) for view in _list(asked, "views"))
            kinds = tuple(str(kind) for kind in _list(asked, "kinds"))
            each = asked.get("per_view")
            most = max(1, len(views) * (each if isinstance(each, int) else 1))
            return Bounds(most, text, choices=views, kinds=kinds, duration_s=seconds)
        case "compose":
            return Bounds(1, text, duration_s=seconds)
        case "counterfactual":
            variants = tuple(str(variant) for variant in _list(asked, "variants"))
            return Bounds(len(variants), text, choices=variants, duration_s=seconds)
        case "paraphrase" | "translate":
            queries, count = _numbers(asked, "queries"), asked.get("count", 1)
            return Bounds(len(queries) * (count if isinstance(count, int) else 1), text, numbers=queries)
        case "decompose":
            queries = _numbers(asked, "queries")
            return Bounds(len(queries), numbers=queries)
        case "contrast":
            nuances = tuple(str(nuance) for nuance in _list(asked, "nuances"))
            return Bounds(len(nuances), text, choices=nuances)
        case "same":
            pairs = _numbers(asked, "pairs")
            return Bounds(len(pairs), numbers=pairs)
        case _:
            return None


@lru_cache(maxsize=64)
def bounded_schema(model: type[BaseModel], bounds: Bounds) -> dict[str, JsonValue]:
    """The JSON Schema of a reply within its bounds."""
    schema: dict[str, Any] = copy.deepcopy(model.model_json_schema())
    for each in (schema, *schema.get("$defs", {}).values()):
        fields = each.get("properties")
        if not fields:
            continue
        facet = each.get("title") in ("FacetReply", "PartReply")
        for name, field in fields.items():
            _bind(name, field, bounds, facet)
        each["properties"] = {name: fields[name] for name in sorted(fields, key=_place)}
        each["required"] = list(each["properties"])
    return schema


@lru_cache(maxsize=256)
def most_tokens(model: type[BaseModel], bounds: Bounds) -> int:
    """How many tokens a reply within its bounds takes at most, as an estimate."""
    schema = bounded_schema(model, bounds)
    known: Any = schema.get("$defs", {})
    return _LEAST_TOKENS + int(_characters(schema, known) / _CHARACTERS_A_TOKEN)


def _bind(name: str, field: dict[str, Any], bounds: Bounds, facet: bool) -> None:
    match name:
        case "again" | "text_again" | "edit" | "back":
            field["maxLength"] = bounds.text
        case "text":
            field["maxLength"] = _FACET if facet else bounds.text
        case "short" | "problem" | "reason":
            field["maxLength"] = _SENTENCE
        case "language":
            field["pattern"] = _LANGUAGE
        case "evidence":
            field["maxItems"] = min(_CITED, len(bounds.ids or ()))
            if bounds.ids:
                field["items"] = {"type": "string", "enum": list(dict.fromkeys(bounds.ids))}
        case "facets":
            field["maxItems"] = _FACETS
        case "denies":
            field |= {"maxItems": _DENIED, "items": {"type": "string", "maxLength": _DENIED_THING}}
        case "kind" if bounds.kinds:
            field["enum"] = list(bounds.kinds)
        case "number" if bounds.numbers:
            field["enum"] = list(bounds.numbers)
        case "view" | "variant" | "nuance" if bounds.choices:
            field["enum"] = list(bounds.choices)
        case "start" | "end" if bounds.duration_s is not None:
            for kind in field.get("anyOf", ()):
                if kind.get("type") == "number":
                    kind |= {"minimum": 0, "maximum": bounds.duration_s}
        case _ if field.get("type") == "array":
            field["maxItems"] = bounds.items


def _place(name: str) -> tuple[int, int]:
    """Where a property stands: what others rest on first, verdicts last, the rest as it is declared."""
    return (0, _ORDER.index(name)) if name in _ORDER else (2 if name in ("supported", "follows", "claims") else 1, 0)


def _characters(schema: Mapping[str, Any], known: Mapping[str, Any]) -> int:
    """The most characters of JSON that fit a schema."""
    if "$ref" in schema:
        return _characters(known[schema["$ref"].rpartition("/")[2]], known)
    if "enum" in schema:
        return max(len(str(each)) for each in schema["enum"]) + 4
    if "anyOf" in schema:
        return max(_characters(each, known) for each in schema["anyOf"])
    match schema.get("type"):
        case "object":
            return 4 + sum(len(name) + 6 + _characters(each, known) for name, each in schema["properties"].items())
        case "array":
            return 4 + int(schema.get("maxItems", 8)) * (2 + _characters(schema["items"], known))
        case "string":
            return int(schema.get("maxLength", 16)) + 4
    return 10


def _list(asked: Mapping[str, JsonValue], name: str) -> list[JsonValue]:
    given = asked.get(name)
    return list(given) if isinstance(given, list | tuple) else []


def _items(asked: Mapping[str, JsonValue], name: str) -> list[dict[str, JsonValue]]:
    return [each for each in _list(asked, name) if isinstance(each, dict)]


def _numbers(asked: Mapping[str, JsonValue], name: str) -> tuple[int, ...]:
    return tuple(each["number"] for each in _items(asked, name) if isinstance(each.get("number"), int))  # type: ignore[misc]
