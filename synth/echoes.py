"""Texts of a teacher that say its prompt back: names of the form that it was to fill, or one of the prompt's examples.

Small models write such queries. They are about no video, so nobody can answer them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import get_args

from hardcut.schemas.records import Modality, QueryKind, Register, View
from hardcut.schemas.text.clean import tokens
from hardcut.teacher.prompts.render import prompt_sources
from hardcut.teacher.prompts.reply_models import FacetReply, QueriesReply, QueryReply

_LABELS = (
    "title",
    "description",
    "tags",
    "caption",
    "captions",
    "evidence",
    "claims",
    "view",
    "views",
    "kinds",
    "forms",
)
_EXAMPLE = re.compile(r'\("([^"]+)"')
_EVIDENCE_ID = re.compile(r"\b[a-z]\d\d\b")
"""As `teacher/brief.py` gives them, in small letters. What can be read in a video is seldom written so."""


def is_echo(text: str) -> bool:
    """Whether a query's text says the prompt back.

    It does where every word of it names a kind, a view, a style, a modality, a field of the reply or a label of the
    material; where it is nothing but ids of evidence; and where it is an example of the prompt that comes with Hardcut.

    >>> is_echo("event, temporal, negation"), is_echo("Title:"), is_echo("a00"), is_echo("two events in a harbour")
    (True, True, True, False)
    """
    said = tokens(text.replace("_", " "))
    if not said:
        return False
    ids = set(_EVIDENCE_ID.findall(text))
    return tuple(said) in _examples() or all(word in _names() or word in ids for word in said)


@cache
def _names() -> frozenset[str]:
    """The words that name parts of the form."""
    fields = (name for model in (QueriesReply, QueryReply, FacetReply) for name in model.model_fields)
    named = (*(name for names in (QueryKind, View, Register, Modality) for name in get_args(names)), *fields, *_LABELS)
    return frozenset(word for name in named for word in tokens(name.replace("_", " ")))


@cache
def _examples() -> frozenset[tuple[str, ...]]:
    """The queries that the prompt gives as examples, in words."""
    return frozenset(tuple(tokens(text)) for text in _EXAMPLE.findall(prompt_sources(None)["queries.system.txt.jinja"]))
