"""Queries that give their video away by its name: a match of strings would answer them, nobody has to watch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from hardcut.schemas.guards import PASSED, Answer, could_not_look, found
from hardcut.schemas.records import Caption, Query, Video
from hardcut.schemas.text.words import contains_phrase, words
from hardcut.synth.filters.filter import Filter

_TITLES = frozenset({"title", "name", "headline", "filename", "file_name"})
_TEXTS = _TITLES | {"description", "summary"}
_LEAST_TITLE = 2
"""Words of a title or file name that a query must hold as a whole; one word alone is no copy but a subject."""
_LEAST_COPIED = 5
"""Words that a query must have for lying in a text as a whole to be a copy and no chance."""
_PARTS = re.compile(r"[\W_]+")


def leak(query: Query, video: Video, captions: Sequence[Caption]) -> Answer:
    """What the query copies of its video. It has no answer for a query without a word, or for a video without a
    caption.

    A title or file name of two words or more that stands in the query whole; a query that lies whole in a title, a
    description or the caption. A query of the view `metadata` is written from the title and may name it among other
    things: there a copy is what is equal to the title.
    """
    asked = words(query.text)
    if not asked:
        return could_not_look("it has no word that could be looked for")
    for field, text in _titles(video):
        title = words(text)
        if title and (asked == title or (query.view != "metadata" and _holds(asked, title))):
            return found(f"{query.text!r} holds the {field} {text!r}")
    for field, text in _texts(video, captions):
        if len(asked) >= _LEAST_COPIED and contains_phrase(words(text), asked):
            return found(f"{query.text!r} stands word for word in the {field}")
    return PASSED if captions else could_not_look("its video has no caption that it could be a copy of")


def _holds(asked: list[str], title: list[str]) -> bool:
    return len(title) >= _LEAST_TITLE and contains_phrase(asked, title)


def _titles(video: Video) -> Iterator[tuple[str, str]]:
    yield "file name", " ".join(_PARTS.split(PurePosixPath(video.path).stem))
    for name, value in sorted(video.metadata.items()):
        if name.casefold() in _TITLES and isinstance(value, str):
            yield name, value


def _texts(video: Video, captions: Iterable[Caption]) -> Iterator[tuple[str, str]]:
    for name, value in sorted(video.metadata.items()):
        if name.casefold() in _TEXTS and isinstance(value, str):
            yield name, value
    for caption in captions:
        yield "caption", caption.text


LEAK = Filter(
    "leak",
    None,
    lambda written: leak(written.query, written.video, written.captions),
    on=lambda settings: settings.leak,
)
