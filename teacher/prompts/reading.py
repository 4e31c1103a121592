"""A structured reply, read by its schema: what of it is whole is kept, and the rest is told with its reason.

JSON is found within prose, behind thoughts, in fences and in another object. Of a reply that was cut off, or of which
some items do not fit, the other items are kept. What is off by a form alone is read as it is meant (`as_meant.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hardcut.teacher.prompts.as_meant import as_meant, without_last_commas
from hardcut.teacher.protocol import LeftOut

_DECODER = json.JSONDecoder(strict=False)  # models break lines inside of texts
_SHOWN = 200
"""Characters that are shown of an item that was left out."""


@dataclass(frozen=True, slots=True)
class ReadReply:
    """A reply's value, or None and what is wrong. `left_out` is what of it was not whole or did not fit."""

    parsed: BaseModel | None
    problem: str = ""
    left_out: tuple[LeftOut, ...] = ()


def read_reply(model: type[BaseModel], text: str, *, cut: bool = False) -> ReadReply:
    """Reads the text of a reply. `cut`: it ended at its limit of tokens."""
    inside = _after_thoughts(text)
    if not inside.strip():
        return ReadReply(None, "the reply has thoughts alone" if text.strip() else "the reply is empty")
    stripped = inside.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return ReadReply(model.model_validate_json(stripped))
    except ValidationError as error:
        problem = validation_message(error)
    mended = without_last_commas(inside)
    for each in (inside, mended):
        if (best := _best(model, each)) is not None:
            return best
    rest = LeftOut("cut_off", "the reply ended in the middle of its next item" if cut else "the rest is no JSON")
    whole = _closed(mended)
    found = _fitting(model, whole) if whole is not None else ReadReply(None, problem)
    if found.parsed is not None and _has_items(found.parsed):
        return ReadReply(found.parsed, "", (*found.left_out, rest))
    loose = _loose(model, mended)
    return ReadReply(loose, "", (rest,)) if loose is not None else ReadReply(None, problem)


def validation_message(error: ValidationError) -> str:
    """The first errors, each with where."""
    return "; ".join(
        ": ".join(filter(None, [".".join(map(str, each["loc"])), each["msg"]]))
        for each in error.errors(include_url=False, include_input=False)[:5]
    )


def _after_thoughts(text: str) -> str:
    """What follows a model's thoughts, where they are marked: nothing where they do not end."""
    before, thought, after = text.partition("</think>")
    if not thought:
        return "" if text.lstrip().startswith("<think>") else text
    return after if not before.lstrip().startswith(("{", "```")) else text


def _best(model: type[BaseModel], text: str) -> ReadReply | None:
    """Of the objects in a text that fit, the first of those of which least is left out. An object that does not fit may
    hold one that does, as in `{"result": {…}}`."""
    best: ReadReply | None = None
    for value in _objects(text):
        found = _fitting(model, value)
        inner = value.values() if found.parsed is None and isinstance(value, dict) else ()
        for each in (found, *(_fitting(model, one) for one in inner if isinstance(one, dict))):
            if each.parsed is not None and (best is None or len(each.left_out) < len(best.left_out)):
                best = each
    return best


def _objects(text: str) -> Iterator[Any]:
    """The JSON objects that stand in a text, outermost ones, in order."""
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _loose(model: type[BaseModel], text: str) -> BaseModel | None:
    """The model's value out of items that stand in a text without the object around them. None where there is none, and
    for a model that needs more than its list."""
    name, item = _list_of(model)
    if item is None or len(model.model_fields) > 1:
        return None
    items = [one for value in _objects(text) if (one := _item(item, as_meant(item, value))[0]) is not None]
    return model.model_validate({name: items}) if items else None


def _fitting(model: type[BaseModel], value: Any) -> ReadReply:
    """The model's value with those items of its list that fit."""
    value = as_meant(model, value)
    try:
        return ReadReply(model.model_validate(value))
    except ValidationError as error:
        problem = validation_message(error)
    name, item = _list_of(model)
    items = value.get(name) if isinstance(value, dict) and name else None
    if not isinstance(items, list) or item is None:
        return ReadReply(None, problem)
    kept: list[BaseModel] = []
    left_out: list[LeftOut] = []
    for each in items:
        one, why = _item(item, each)
        kept += [one] if one is not None else []
        left_out += [LeftOut("invalid_item", f"{_shown(each)}: {why}")] if why else []
    if not kept:
        return ReadReply(None, problem)
    try:
        return ReadReply(model.model_validate({**value, name: kept}), "", tuple(left_out))
    except ValidationError:
        return ReadReply(None, problem)


def _item(item: type[BaseModel], value: Any) -> tuple[BaseModel | None, str]:
    """An item that fits. One whose own times alone do not fit is kept without them, and one of whose own list some
    items do not fit is kept with the others, such as a query with those of its facets that can be read."""
    try:
        return item.model_validate(value), ""
    except ValidationError as error:
        why = validation_message(error)
        own = [each["loc"] for each in error.errors(include_url=False)] == [()]
    if own and isinstance(value, dict) and {"start", "end"} <= value.keys():
        return item.model_validate({**value, "start": None, "end": None}), f"kept without its times: {why}"
    if _list_of(item)[1] is not None:
        found = _fitting(item, value)
        if found.parsed is not None:
            return found.parsed, f"kept with what of it fits: {why}"
    return None, why


@lru_cache(maxsize=64)
def _list_of(model: type[BaseModel]) -> tuple[str, type[BaseModel] | None]:
    """The field of a model that is a list of models, where it has one, and what an item of it is."""
    for name, field in model.model_fields.items():
        inside = get_args(field.annotation)
        if get_origin(field.annotation) is tuple and isinstance(inside[0], type) and issubclass(inside[0], BaseModel):
            return name, inside[0]
    return "", None


def _has_items(parsed: BaseModel) -> bool:
    name, _ = _list_of(type(parsed))
    return not name or bool(getattr(parsed, name))


def _closed(text: str) -> Any:
    """The object that a text breaks off in, up to the last whole item of its list; None where there is none."""
    begin = text.find("{")
    if begin < 0:
        return None
    open_: list[str] = []
    quoted = escaped = False
    last = -1
    for at in range(begin, len(text)):
        letter = text[at]
        if escaped:
            escaped = False
        elif quoted:
            quoted, escaped = letter != '"', letter == "\\"
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            open_.append(letter)
        elif letter in "}]":
            if not open_:
                break
            open_.pop()
            if letter == "}" and open_ == ["{", "["]:
                last = at
    if last < 0:
        return None
    try:
        return _DECODER.decode(text[begin : last + 1] + "]}")
    except (ValueError, RecursionError):
        return None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"
