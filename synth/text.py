"""Text from outside, made fit for records: what cannot be shown or only misleads a reader is taken out."""

from __future__ import annotations

import unicodedata

_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str, limit: int | None = None) -> str:
    """One line: control characters and runs of white space become one space; what is no character or turns the
    direction of writing is taken out.

    A text longer than `limit` characters is cut there and ends in "…".
    """
    kept = "".join(_shown(character) for character in text)
    line = " ".join(kept.split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    return "" if category == "Cs" or character in _BIDI_OVERRIDES else character
