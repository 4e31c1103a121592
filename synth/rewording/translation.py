"""Signs that a translated query is wrong, found without understanding it: wrong language or script, words left as they
were, numbers and quotations that differ (AutoArabic: flag what is likely wrong, so that people look at that alone)."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from hardcut.schemas.dependencies import installed
from hardcut.schemas.text.clean import script_of

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_SCRIPTS: dict[str, str] = {
    "Latn": "af az ca cs cy da de en es et eu fi fr ga gl hr hu id is it lt lv ms mt nb nl nn no pl pt ro sk sl sq sv "
    "sw tl tr vi",
    "Cyrl": "ru uk be bg mk kk ky mn tg tt ba cv",
    "Arab": "ar fa ur ps ug ckb sd",
    "Deva": "hi mr ne sa",
    "Hani": "zh yue wuu",
    "Hebr": "he yi",
    "Beng": "bn as",
    "Jpan": "ja",
    "Hang": "ko",
    "Grek": "el",
    "Thai": "th",
    "Taml": "ta",
    "Armn": "hy",
    "Geor": "ka",
}
"""Languages that are written in one script (ISO 15924). Of others (sr, uz) any script is taken."""
_AMONG = {"ja": {"Jpan"}, "ko": {"Hang"}, "und-Hani": {"Hani", "Jpan"}}
"""What `script_of` says and the scripts that it can be; of all others the last part is the script."""
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」')
_WORD = re.compile(r"[^\W\d_]{4,}")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_UNLIKELY = 20.0
"""How many times as likely another language must be before the one that was asked for is doubted."""
_LEAST_LETTERS = 12
"""A text with fewer letters is too short to tell its language."""
_COPIED = 0.5
"""Share of the original's longer words that may stand in a translation; more, and it is no translation."""


def signs_of_error(original: str, original_language: str, text: str, language: str) -> list[str]:
    """What speaks against `text` as the translation of `original`; empty where nothing does.

    What stands in quotation marks is to be read or heard in its own language: it must be there word for word and does
    not count otherwise. Raises MissingDependency without py3langid.
    """
    return [
        sign
        for sign in (
            _wrong_script(_unquoted(text), language),
            _wrong_language(_unquoted(text), language),
            _untranslated(original, original_language, text, language),
            _other_numbers(original, text),
            _other_quotations(original, text),
        )
        if sign
    ]


def primary(language: str) -> str:
    """The language of a tag without script and region: `pt` of `pt-BR`."""
    return language.split("-")[0].lower()


def identifier_version() -> str:
    """Version of what tells languages apart. Raises MissingDependency."""
    return installed("py3langid", "languages", "queries.languages = []")


def _wrong_script(text: str, language: str) -> str | None:
    found = script_of(text)
    if found is None:
        return None
    among = _AMONG.get(found, {found.rpartition("-")[2]})
    tagged = next((part for part in language.split("-")[1:] if len(part) == 4 and part.isalpha()), "").title()
    wanted = next((script for script, languages in _SCRIPTS.items() if primary(language) in languages.split()), "")
    wanted = {"Hans": "Hani", "Hant": "Hani", "Kore": "Hang"}.get(tagged, tagged) or wanted
    if not wanted or wanted in among:
        return None
    return f"is written in {' or '.join(sorted(among))} and not in {wanted}"


def _wrong_language(text: str, language: str) -> str | None:
    if sum(character.isalpha() for character in text) < _LEAST_LETTERS:
        return None
    ranked = dict(_identifier().rank(text))
    best = max(ranked, key=lambda each: ranked[each])
    likely = ranked.get(primary(language))
    if likely is None or ranked[best] < _UNLIKELY * likely:
        return None
    return f"reads as {best}"


def _untranslated(original: str, original_language: str, text: str, language: str) -> str | None:
    if primary(original_language) == primary(language):
        return None
    words = {word.casefold() for word in _WORD.findall(_unquoted(original))}
    copied = words & {word.casefold() for word in _WORD.findall(_unquoted(text))}
    if not words or len(copied) <= _COPIED * len(words):
        return None
    return f"leaves as they are: {', '.join(sorted(copied)[:5])}"


def _other_numbers(original: str, text: str) -> str | None:
    missing, added = _numbers(original) - _numbers(text), _numbers(text) - _numbers(original)
    if not missing and not added:
        return None
    sides = [
        f"{name} {', '.join(sorted(numbers))}" for name, numbers in (("lacks", missing), ("adds", added)) if numbers
    ]
    return f"numbers differ: {' and '.join(sides)}"


def _other_quotations(original: str, text: str) -> str | None:
    said = " ".join(text.casefold().split())
    missing = [quoted for quoted in _quotations(original) if " ".join(quoted.casefold().split()) not in said]
    return f"lacks the quotation {', '.join(map(repr, missing))}" if missing else None


def _quotations(text: str) -> list[str]:
    return [next(filter(None, groups)) for groups in _QUOTED.findall(text)]


def _unquoted(text: str) -> str:
    return _QUOTED.sub(" ", text)


def _numbers(text: str) -> Counter[str]:
    """The numbers outside quotations, in the digits of ASCII, without marks between them."""
    plain = "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in _unquoted(text))
    return Counter(re.sub(r"\D", "", number) for number in _NUMBER.findall(plain))


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    identifier_version()
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
