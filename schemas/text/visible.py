"""Characters that a reader cannot see, or that change the direction of writing. Text from outside must not use them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates (Unicode Standard Annex 9)."""
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff" + "".join(sorted(BIDI_CONTROLS)) + "]")
"""Control characters other than tab and end of line, halves of surrogate pairs, controls of the direction of writing:
the Unicode categories Cc and Cs, which are closed."""

_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})


def replace_hidden(text: str, replacement: Callable[[str], str]) -> str:
    """The text with `replacement(character)` in place of every hidden character."""
    return _HIDDEN.sub(lambda found: replacement(found[0]), text)


def is_seen(text: str) -> bool:
    """Whether a text has anything that a reader sees: not white space, controls and joiners (categories Z, Cc, Cf)
    alone."""
    return any(unicodedata.category(character) not in _UNSEEN for character in text)
