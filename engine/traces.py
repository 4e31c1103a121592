"""Traces of what is to be forgotten: names and texts, and whether a text has one of them. Pure."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

LEAST = 12
"""Characters that a text has at least to tell whose it is."""
_SENTENCE = re.compile(r"[.!?\n]+\s*")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Traces:
    """`names` are found wherever they stand by themselves, `digests` (ids and digests, one word each) likewise,
    `sentences` where a whole sentence or value is one of them. A short name of one word, such as "1", is found
    only as a whole text in quotation marks: anywhere else it may be a number or a word of others."""

    names: Collection[str]
    digests: frozenset[str]
    sentences: frozenset[str]

    def in_text(self, text: str) -> bool:
        """Whether a text, or the JSON that it is, has a trace. A name counts where it is no part of a longer one."""
        if any(_stands_in(name, text) for name in self.names) or not self.digests.isdisjoint(_WORD.findall(text)):
            return True
        return any(not self.sentences.isdisjoint(sentences(leaf)) for leaf in _leaves(_parsed(text)))

    def loosely_in(self, text: str) -> bool:
        """As `in_text`; a name counts as a part of a longer one too. For what can be made again."""
        anywhere = (name for name in self.names if not _is_word(name))
        return any(_begins_in(name, text) for name in anywhere) or self.in_text(text)

    @property
    def by_name(self) -> Traces:
        """Without the sentences, which others may have said too."""
        return replace(self, sentences=frozenset())


def sentences(text: str) -> set[str]:
    """The text and its sentences, as far as they are long enough to tell whose they are."""
    parts = (text, *_SENTENCE.split(text))
    return {part.strip(" .!?\n").casefold() for part in parts if len(part.strip()) >= LEAST}


def lines_of(text: str) -> list[str]:
    """The lines of a text with their ends, as JSON Lines have them: U+2028 and its like stand inside of a value."""
    return io.StringIO(text, newline="\n").readlines()


def _is_word(name: str) -> bool:
    return len(name) < LEAST and name.isalnum()


def _begins_in(name: str, text: str) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(spelled)}", text) for spelled in (name, json.dumps(name)[1:-1]))


def _stands_in(name: str, text: str) -> bool:
    if _is_word(name):
        return any(quoted in text for quoted in (json.dumps(name), json.dumps(name, ensure_ascii=False), f"'{name}'"))
    if name not in text and json.dumps(name)[1:-1] not in text:
        return False
    for spelled in (name, json.dumps(name)[1:-1]):
        if re.search(rf"(?<![\w/.-]){re.escape(spelled)}(?![\w/-]|\.\w)", text):
            return True
    return False


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _leaves(value: object) -> Iterator[str]:
    """All texts in a JSON value; one that is JSON itself is opened."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield value
        if value[:1] in "{[" and not isinstance(inner := _parsed(value), str):
            yield from _leaves(inner)
