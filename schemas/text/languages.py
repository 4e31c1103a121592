"""Languages by their codes. Pure."""

from __future__ import annotations

_SHORT = {
    "ara": "ar", "bul": "bg", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl", "ell": "el",
    "eng": "en", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "gre": "el", "heb": "he", "hin": "hi",
    "hun": "hu", "ita": "it", "jpn": "ja", "kor": "ko", "nld": "nl", "nor": "no", "per": "fa", "pol": "pl", "por": "pt",
    "ron": "ro", "rum": "ro", "rus": "ru", "spa": "es", "swe": "sv", "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi",
    "zho": "zh",
}  # fmt: skip
"""Languages that people often write with three letters (ISO 639-2), by their short codes."""


def primary_language(tag: str | None) -> str | None:
    """The language of a tag (BCP 47) alone, without script and region, by its short code; None where there is none.

    >>> primary_language("eng"), primary_language("zh_TW"), primary_language(None)
    ('en', 'zh', None)
    """
    if not tag:
        return None
    bare = tag.replace("_", "-").partition("-")[0].lower()
    return _SHORT.get(bare, bare)
