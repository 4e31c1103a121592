"""Characters that a reader cannot see, or that change the direction of writing. Text from outside must not use them."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates (Unicode Standard Annex 9)."""


def is_hidden(character: str) -> bool:
    """Whether a character is a control character other than tab and end of line, half a surrogate pair, or a control
    of the direction of writing."""
    if character in BIDI_CONTROLS:
        return True
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"


def replace_hidden(text: str, replacement: Callable[[str], str]) -> str:
    """The text with `replacement(character)` in place of every hidden character."""
    return "".join(replacement(character) if is_hidden(character) else character for character in text)
