"""Words and phrases that the user does not want in a dataset: unsafe, personal, or simply unwanted."""

from __future__ import annotations

from collections.abc import Sequence

from hardcut.schemas.guards import PASSED, Answer, could_not_look, found
from hardcut.schemas.records import Query
from hardcut.schemas.text.words import contains_phrase, words
from hardcut.synth.filters.filter import Filter


def unsafe(query: Query, unwanted: Sequence[str]) -> Answer:
    """The entry of the list that stands in the query or in a facet, whole words without regard to case. It has no
    answer for a query, or for an entry of the list, that has no word."""
    texts = [words(text) for text in (query.text, *(facet.text for facet in query.facets))]
    for entry in unwanted:
        if any(contains_phrase(text, words(entry)) for text in texts):
            return found(f"has {entry!r}, which is on the list")
    wordless = [entry for entry in unwanted if not words(entry)]
    if wordless:
        return could_not_look(f"{wordless[0]!r} of the list has no word that could be looked for")
    return PASSED if texts[0] else could_not_look("it has no word that could be looked at")


UNSAFE = Filter(
    "unsafe",
    None,
    lambda written: unsafe(written.query, written.settings.unsafe),
    on=lambda settings: bool(settings.unsafe),
)
