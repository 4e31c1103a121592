"""Texts of a teacher that say its prompt back: names of the form that it was to fill, or one of the prompt's examples.

Small models write such queries. They are about no video, so nobody can answer them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import get_args

from hardcut.schemas.records import Modality, QueryKind, Register, View
from hardcut.schemas.text.clean import tokens
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.prompts.reply_models import FacetReply, QueriesReply, QueryReply
from hardcut.teacher.protocol import Task

Examples = frozenset[tuple[str, ...]]
"""Examples of a prompt, each in words."""

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
_QUOTED = re.compile(r'"([^"\n]+)"|“([^”\n]+)”|„([^“”\n]+)[“”]|«([^»\n]+)»|「([^」\n]+)」|『([^』\n]+)』')
_FILLED_IN = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_LEAST = 3
"""Words of an example: fewer are a key of the reply or a word that the prompt speaks of. Where words are not spaced, as
many characters are twice that."""
_EVIDENCE_ID = re.compile(r"\ba\d\d\b")
"""The first ones as `teacher/brief.py` gives them, in small letters. What can be read in a video is seldom so."""
_OF_A_FORM = re.compile(r"[,;:|=_/\[\]{}()\n]")
"""How the parts of a form are set apart, as people who search seldom do."""


def is_echo(text: str, examples: Examples = frozenset()) -> bool:
    """Whether a query's text says the prompt back.

    It does where it is one of the prompt's `examples`, and where it is nothing but ids of evidence. It also does where
    every word of it names a kind, a view, a style, a modality, a field of the reply or a label of the material, and
    it is written as a form is or has three words or more. Fewer may be what a person looks for.

    >>> [is_echo(text) for text in ("event, temporal", "Title:", "a00", "the end", "end", "sound description")]
    [True, True, True, False, False, False]
    """
    said = tokens(text.replace("_", " "))
    if not said:
        return False
    if tuple(said) in examples:
        return True
    ids = set(_EVIDENCE_ID.findall(text))
    named = [word for word in said if word not in ids]
    if not all(word in _names() for word in named):
        return False
    return not named or len(named) >= _LEAST or bool(_OF_A_FORM.search(text))


def examples_of(prompts: Prompts, task: Task) -> Examples:
    """What a prompt gives in quotation marks, of three words or more."""
    return frozenset(_examples(prompts.sources(task)))


def _examples(sources: Iterable[str]) -> Iterable[tuple[str, ...]]:
    for source in sources:
        for found in _QUOTED.finditer(_FILLED_IN.sub(" ", source)):
            text = next(filter(None, found.groups()))
            said = tuple(tokens(text))
            if len(said) >= _LEAST or (not text.isascii() and len(text) >= 2 * _LEAST):
                yield said


@cache
def _names() -> frozenset[str]:
    """The words that name parts of the form."""
    fields = (name for model in (QueriesReply, QueryReply, FacetReply) for name in model.model_fields)
    named = (*(name for names in (QueryKind, View, Register, Modality) for name in get_args(names)), *fields, *_LABELS)
    return frozenset(word for name in named for word in tokens(name.replace("_", " ")))
