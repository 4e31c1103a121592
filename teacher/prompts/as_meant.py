"""What a model plainly meant where its JSON is off by a form: servers without a grammar hold no model to the schema.

Only what can be read in one way is read: a choice in other letters, a null that was left out, one object in place of a
list of one, a field that nobody asked for, a comma before a closing bracket, half of a surrogate pair.
"""

from __future__ import annotations

import re
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)


def without_last_commas(text: str) -> str:
    """JSON without the commas that stand before a closing bracket. Prose before it may have single quotation marks."""
    begin = max(text.find("{"), 0)
    return text[:begin] + _COMMA.sub(lambda found: found[1] or "", text[begin:])


def as_meant(model: type[BaseModel], value: Any) -> Any:
    """A decoded value in the form of a model, as far as it is one; what is no object stays as it is."""
    if not isinstance(value, dict):
        return _meant(None, value)
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if value.get(key) is not None:
            found[key] = _meant(field.annotation, value[key])
        elif field.is_required() and (key in value or NoneType in get_args(field.annotation)):
            found[key] = None
    return found


def _meant(kind: Any, value: Any) -> Any:
    if isinstance(value, str):
        text = value.encode("utf-8", "ignore").decode("utf-8")
        return _choice(kind, text) if get_origin(kind) is Literal else text
    inside = get_args(kind)[0] if get_origin(kind) is tuple else None
    if isinstance(inside, type) and issubclass(inside, BaseModel):
        items = value if isinstance(value, list) else [value]
        return [as_meant(inside, each) for each in items]
    if isinstance(value, list):
        return [_meant(inside, each) for each in value]
    return value


def _choice(kind: Any, text: str) -> str:
    """`Multi-hop` is `multi_hop`, where that is a choice."""
    folded = re.sub(r"[\s-]+", "_", text.strip().lower())
    return folded if folded in get_args(kind) else text
