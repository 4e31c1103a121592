"""Readings in Latin letters of which some may be lost: the first recogniser knows most of the Latin alphabets, and
leaves out what it does not know. `Tin tức` is read as `Tin tc`, at .999."""

from __future__ import annotations

import re
import unicodedata

from hardcut.schemas.text.languages import primary_language

LACKING = frozenset({"vi", "yo", "ig", "ee"})
"""Languages with letters that the models of RapidOCR 3.10 do not know (Vietnamese: 44 of 67), by their tags."""
_TELLING = frozenset("ăâêôơưđ")
"""Letters of Vietnamese that it does know and that English, Spanish, German or Polish have not."""
_VOWELS = frozenset("aeiouyæøœı")
_UNITS = frozenset({"cm", "dr", "kg", "km", "mm", "mr", "st", "tv"})


def may_lack_letters(text: str) -> bool:
    """Whether a line is probably Vietnamese and a word of it has no vowel: there was one that was not read."""
    small = text.casefold()
    if not _TELLING & set(unicodedata.normalize("NFC", small)):
        return False
    plain = "".join(c for c in unicodedata.normalize("NFD", small) if not unicodedata.combining(c))
    words = [word for word in re.findall(r"[^\W\d_]{2,}", plain) if word not in _UNITS]
    return any(not _VOWELS & set(word) for word in words)


def has_letters_unknown_to_the_first(text: str) -> bool:
    """Whether a text has one of the Vietnamese letters that the first recogniser does not know (U+1EA0 to U+1EF9)."""
    return any("\u1ea0" <= character <= "\u1ef9" for character in unicodedata.normalize("NFC", text))


def lacks_letters_of(language: str | None) -> bool:
    """Whether text in a language may lose letters when the first recogniser reads it."""
    return primary_language(language) in LACKING
