"""What a text file is written in that does not say so: Unicode, or the code page of its language. Pure."""

from __future__ import annotations

import codecs
import re
import unicodedata

from hardcut.schemas.text.languages import primary_language

_WESTERN = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "nb", "nn", "fi", "is", "ca", "gl", "eu")
_CODE_PAGES = {
    **dict.fromkeys(_WESTERN, "cp1252"),
    **dict.fromkeys(("ru", "uk", "be", "bg", "sr", "mk"), "cp1251"),
    **dict.fromkeys(("pl", "cs", "sk", "hu", "ro", "hr", "sl", "sq", "bs"), "cp1250"),
    **dict.fromkeys(("ar", "fa", "ur"), "cp1256"),
    **dict.fromkeys(("et", "lv", "lt"), "cp1257"),
    "el": "cp1253",
    "tr": "cp1254",
    "he": "cp1255",
    "vi": "cp1258",
    "th": "cp874",
    "ja": "cp932",
    "zh": "gb18030",
    "ko": "cp949",
}
"""The code page that Windows wrote a language in, by its short code."""
_LINE_END = re.compile(r"\r*\n|\r")
"""Of a text file. Other marks of Unicode, such as U+2028 and U+0085, stand inside of texts. A program that doubles the
return before each line feed is told by two of them."""
_TRADITIONAL = ("tw", "hk", "mo", "hant")


def decode(data: bytes, language: str | None) -> str:
    """The text of a file. UTF-8 and UTF-16 are known by themselves, anything else by its language (BCP 47).

    Raises UnicodeDecodeError where it is no Unicode and the language is not known, or does not fit: a text whose
    letters are for private use is in another code page.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        page = code_page(language)
        if page is None:
            raise
        text = data.decode(page)
        if any(unicodedata.category(letter) == "Co" for letter in text):
            raise
        return text


def lines_of(text: str) -> list[str]:
    """The lines of a text file, without their ends and without the byte order marks of files that were joined."""
    return _LINE_END.split(text.replace("\ufeff", ""))


def code_page(language: str | None) -> str | None:
    """The code page of a language; None where it is not known.

    >>> code_page("ru"), code_page("zh-TW"), code_page(None)
    ('cp1251', 'cp950', None)
    """
    primary, tag = primary_language(language), (language or "").lower().replace("_", "-")
    if primary == "zh" and any(part in _TRADITIONAL for part in tag.split("-")):
        return "cp950"
    return _CODE_PAGES.get(primary or "")
