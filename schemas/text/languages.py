"""Languages by their codes. Pure."""

from __future__ import annotations

import re

_SHORT = {
    "ara": "ar", "bul": "bg", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl", "ell": "el",
    "eng": "en", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "gre": "el", "heb": "he", "hin": "hi",
    "hun": "hu", "ita": "it", "jpn": "ja", "kor": "ko", "nld": "nl", "nor": "no", "per": "fa", "pol": "pl", "por": "pt",
    "ron": "ro", "rum": "ro", "rus": "ru", "spa": "es", "swe": "sv", "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi",
    "zho": "zh",
}  # fmt: skip
"""Languages that people often write with three letters (ISO 639-2), by their short codes."""


_TAG = re.compile(r"([A-Za-z]{2,3})((?:[-_][A-Za-z0-9]{1,8})*)")


def language_tag(text: str | None) -> str | None:
    """A language that a person typed, as a tag (BCP 47); None where it is none.

    >>> language_tag(" DE "), language_tag("zh_Hant"), language_tag("deu"), language_tag("German")
    ('de', 'zh-Hant', 'de', None)
    """
    match = _TAG.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    bare, rest = match[1].lower(), match[2].replace("_", "-")
    return _SHORT.get(bare, bare) + rest


def primary_language(tag: str | None) -> str | None:
    """The language of a tag (BCP 47) alone, without script and region, by its short code; None where there is none.

    >>> primary_language("eng"), primary_language("zh_TW"), primary_language(None)
    ('en', 'zh', None)
    """
    if not tag:
        return None
    bare = tag.replace("_", "-").partition("-")[0].lower()
    return _SHORT.get(bare, bare)
