"""Cleans text from outside for records. Characters that cannot be shown, or that mislead a reader, are removed."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from hardcut.schemas.records import Length
from hardcut.schemas.text.visible import BIDI_CONTROLS

_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", '."', '!"', '?"')
_SCRIPTS = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "CJK": "Hani", "HIRAGANA": "Hira", "KATAKANA": "Kana",
    "HANGUL": "Hang", "ARABIC": "Arab", "HEBREW": "Hebr", "DEVANAGARI": "Deva", "THAI": "Thai", "BENGALI": "Beng",
    "TAMIL": "Taml", "ARMENIAN": "Armn", "GEORGIAN": "Geor",
}  # fmt: skip
"""First word of a letter's Unicode name and the script's code (ISO 15924)."""


_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or one character of the scripts that put no spaces between words."""
WORDS: Mapping[Length, int] = {"short": 8, "medium": 20}
"""The most words of a length; a long text has more."""


def tokens(text: str) -> list[str]:
    """The words of a text, without regard to case."""
    return _TOKEN.findall(text.casefold())


def length_class(text: str) -> Length:
    """The length class of a query, by its words."""
    count = len(tokens(text))
    return next((length for length, most in WORDS.items() if count <= most), "long")


def script_of(text: str) -> str | None:
    """The script of a text as a language tag (BCP 47: `und-Cyrl`), or None where less than 80 % of its letters, or
    fewer than two, are of one. One line is too little to tell the language from; kana make it `ja`, hangul `ko`."""
    found = Counter(_SCRIPTS.get(unicodedata.name(c, "").split(" ")[0], "") for c in text if c.isalpha())
    letters = found.total()
    if found["Hira"] + found["Kana"] and found["Hira"] + found["Kana"] + found["Hani"] >= 0.8 * letters:
        return "ja"
    script, count = found.most_common(1)[0] if found else ("", 0)
    if not script or count < 0.8 * letters or (letters < 2 and script != "Hani"):
        return None
    return "ko" if script == "Hang" else f"und-{script}"


def clean(text: str, limit: int | None = None) -> str:
    """The text in one line. Control characters and runs of white space become one space. Code points that are no
    characters, and those that change the direction of writing, are removed.

    A text longer than `limit` characters is cut there and ends in "…".
    """
    kept = "".join(_shown(character) for character in text)
    line = " ".join(kept.split())
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    return "" if category == "Cs" or character in BIDI_CONTROLS else character


def sentence(text: str) -> str:
    """The text with a full stop, where it has no mark at its end."""
    return text if text.endswith(_SENTENCE_ENDS) else f"{text}."
