"""Words and phrases that the user does not want in a dataset: unsafe, personal, or simply unwanted."""

from __future__ import annotations

from collections.abc import Sequence

from hardcut.schemas.records import Query
from hardcut.schemas.text.words import contains_phrase, words


def unsafe(query: Query, unwanted: Sequence[str]) -> str | None:
    """The entry of the list that stands in the query or in a facet, whole words without regard to case; None: none."""
    texts = [words(text) for text in (query.text, *(facet.text for facet in query.facets))]
    return next((entry for entry in unwanted if any(contains_phrase(text, words(entry)) for text in texts)), None)
