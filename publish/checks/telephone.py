"""Telephone numbers in a text, by the numbering plans that `phonenumbers` (Google's libphonenumber) has.

A number is one if it has a country's code, or if its digits and the places between them are those of a country in which
the text's script is at home. Digits without any sign between them are numbers of many kinds: they count beside a word
such as "call" alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardcut.schemas.dependencies import needs

FEWEST, MOST = 8, 15
"""Digits of a telephone number."""
_CANDIDATE = re.compile(r"(?<![A-Za-z0-9_.,:/=-])\+?\(?\d(?:[ .()/-]{0,2}\d){7,16}(?![A-Za-z0-9_:/]|[.,]\d)")
_OTHER = re.compile(
    r"\d+\.\d+(?: ?[-–] ?\d+\.\d+| \d+\.\d+)+"  # times and measures: 24.367-26.367
    r"|\d\.\d{4,}"  # 0.1234567890
    r"|\d{1,3}(?:\.\d{3})+|\d{1,3}(?:\.\d{1,3}){3}"  # 1.234.567.890, 192.168.100.200
    r"|97[89](?:[- ]\d{1,7}){3}[- ]\d"  # ISBN
    r"|\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{2,4}"  # dates
    r"|(?:19|20)\d\d ?- ?(?:19|20)\d\d"  # years
)
_AT_HOME = (
    (re.compile("[\u3040-\u30ff]"), ("JP",)),
    (re.compile("[\u4e00-\u9fff]"), ("CN", "TW", "HK")),
    (re.compile("[\uac00-\ud7a3]"), ("KR",)),
    (re.compile("[\u0400-\u04ff]"), ("RU", "UA", "KZ")),
    (re.compile("[\u0600-\u06ff]"), ("EG", "SA", "AE", "IR")),
    (re.compile("[\u0590-\u05ff]"), ("IL",)),
    (re.compile("[\u0900-\u097f]"), ("IN",)),
)
"""Scripts, and the countries whose numbers their texts have. All others write Latin."""
_LATIN = (
    *("US", "GB", "IN", "AU", "DE", "AT", "CH", "FR", "BE", "NL"),
    *("ES", "MX", "AR", "IT", "BR", "PT", "TR", "PL", "VN", "ID"),
)
_WORD = re.compile(
    r"\b(?:call(?:s|ed|ing)?|(?:tele)?phone|tel|mobile|fax|whatsapp|sms|dial|hotline|contact|anrufen|rufen|telefon"
    r"|handy|appele[zr]|téléphone|tél|portable|llam[ae]r?|teléfono|móvil|chiama(?:te|re)?|telefono|cellulare|ligue"
    r"|ligar|telefone|celular|zadzwoń|zadzwonić|arayın|numarayı|gọi|hubungi|telepon|bel|bellen)\b"
    r"|звон|тел|дзвон|电话|電話|拨打|撥打|手机|手機|联系|聯繫|热线|熱線|전화|연락|ダイヤル"
    r"|اتصل|هاتف|جوال|تماس|تلفن|कॉल|फ़ोन|फोन|मोबाइल|התקשר|טלפון|נייד",
    re.IGNORECASE,
)


def need_phonenumbers() -> None:
    """Raises MissingDependency where the library is not installed."""
    with needs("phonenumberslite", "publish"):
        import phonenumbers  # noqa: F401


def telephone_numbers(text: str) -> Iterator[str]:
    """The telephone numbers of a text, as they are written there."""
    for match in _CANDIDATE.finditer(text):
        value = match.group()
        digits = sum(char.isdigit() for char in value)
        if FEWEST <= digits <= MOST and not _OTHER.fullmatch(value):
            plain = not value.startswith("+") and value.isdigit()
            if (not plain or _WORD.search(text)) and _is_number(value, _countries(text)):
                yield value


def _countries(text: str) -> tuple[str, ...]:
    found = tuple(country for script, countries in _AT_HOME if script.search(text) for country in countries)
    return found or _LATIN


def _is_number(value: str, countries: tuple[str, ...]) -> bool:
    """Whether a country has such a number, and writes it so."""
    with needs("phonenumberslite", "publish"):
        from phonenumbers import Leniency, PhoneNumberMatcher
    if value.startswith("+"):
        return bool(PhoneNumberMatcher(value, None, leniency=Leniency.VALID).has_next())
    return any(PhoneNumberMatcher(value, country, leniency=Leniency.EXACT_GROUPING).has_next() for country in countries)
