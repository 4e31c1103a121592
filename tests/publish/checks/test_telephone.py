"""Telephone numbers are told from the other numbers of a dataset: times, places, ids, prices."""

from __future__ import annotations

import re

import pytest

from hardcut.publish.checks.content import personal
from hardcut.publish.checks.telephone import telephone_numbers

phonenumbers = pytest.importorskip("phonenumbers")

SAID = {
    "call {} now": ("US", "GB", "IN", "AU"), "Rufen Sie {} an": ("DE", "AT", "CH"), "appelez le {} vite": ("FR", "BE"),
    "llame al {} ya": ("ES", "MX", "AR"), "chiama il {} subito": ("IT",), "ligue {} agora": ("BR", "PT"),
    "звоните по {} сейчас": ("RU",), "дзвоніть {} зараз": ("UA",), "拨打{}订购": ("CN", "TW", "HK"),
    "{}로 전화하세요": ("KR",), "{}までお電話を": ("JP",),
    "اتصل على {} الآن": ("EG", "SA", "AE"), "با {} تماس بگیرید": ("IR",),
    "अभी {} पर कॉल करें": ("IN",), "התקשרו {} עכשיו": ("IL",), "{} numarayı arayın": ("TR",),
    "zadzwoń {} teraz": ("PL",), "gọi {} ngay": ("VN",), "hubungi {} sekarang": ("ID",), "bel {} nu": ("NL",),
}  # fmt: skip
"""Sentences around a number, and the countries whose numbers they are said of."""
OTHERS = """
read at 24.367-26.367 s|from 12.500 to 14.250 seconds|between 103.5-110.25 s and 120.0-130.75 s
at 00:01:23.456 to 00:02:34.567|2023-05-17 18:45:12 the train leaves|on 17.05.2023 at 18.45|17/05/2023 18:45
from 2019 - 2023 and 1999-2004|192.168.100.200 is the router|10.0.0.138:8080 answers|11-11-11
ISBN 978-3-16-148410-0 on the cover|ISBN 0-306-40615-2|1,234,567,890 people|1.234.567.890 Menschen
population 8 045 311 447|4711 0815 1234 on the parcel|120 340 560 780 are the box's corners
bounding box 102 344 560 781|x 120.5 y 340.25 w 560.75 h 780.0|coordinates 52.520008, 13.404954|48.8566 2.3522
score 3 : 2 and 101-99|the number 42 of 1000000|a price of 12 345 678 dollars|order number 2023051712345
order 100200300400|part number 555-0100-22A|model RTX4090-24576MB|serial 0123456789|barcode 4006381333931
barcode 9780306406157|train ICE 1234 to gate 5678|flight LH 400 at 10 45 to 12 30|bus 100 200 300
channels 1 2 3 4 5 6 7 8 9|1 2 3 4 5 6 7 8 9 10|0 1 0 1 1 0 1 0 0 1|frame 000123456|frames 1000-1250, 1300-1450
video 20230517_184512|IMG_20230517184512|PXL_20230517_184512345|clip 1068111035 of shutterstock
v_QOlSCBRmfWY 82.73 19.86|1014598307 is the stock id|188001_188050/26288129|pixel sizes 1920 1080 3840 2160
resolution 1920x1080, 3840x2160|temperatures 20.5 21.5 22.5 23.5|heart rate 120 130 140 150
scores 98.76 87.65 76.54|probability 0.1234567890|margin -8.123456789|pi is 3.14159265358979|e is 2.718281828459
unix time 1684348512|unix time 1684348512345|GBP 1 000 000 - 2 000 000|10-20-30-40-50|2 x 300 400 500
lap times 1:23.456 1:24.567|step 1000/20000 loss 2.3456|id 550e8400-e29b-41d4-a716-446655440000
hash 1234567890abcdef1234|a stretch from 5 to 7.5, then 12.25-13.5|Apollo 11, 1969 07 20|plate 12 345 678
page 123 of 4567 8910|zip 90210-1234 and 10115|tax 12-3456789|12 345 67 89 of something
the years 1914 1918 1939 1945|in 1789, 1815, 1830 and 1848|100 000 000 viewers|1000 2000 3000 4000 meters
lottery 05 12 23 34 45 06|chapter 3.2.1.4.5.6|version 10.15.7.12345|SMPTE 01:02:03:04|speed 299 792 458 m/s
speed 299792458 m/s|Avogadro 602214076|the code 8675309|2147483647 is the largest|视频编号1068111035共有
在24.367-26.367秒|共有123456789人|二维码 690123456789|am 17.05.2023 um 18:45 Uhr, 24,5-26,5 s
Artikel 123 456 789|le 17 05 2023 a 18 45|12 34 56 78 90 points|с 24.367 до 26.367|1 234 567 890 рублей
2023年05月17日 18時45分|2023.05.17 18:45:12|من 24.367 إلى 26.367|entre 1.234.567 y 2.345.678
R$ 1.234.567,89 em 2023
"""


def _numbers() -> list[tuple[str, str]]:
    """Numbers as their countries write them, each in a sentence of a language that is at home there."""
    forms = phonenumbers.PhoneNumberFormat
    kinds = phonenumbers.PhoneNumberType
    found = []
    for said, countries in SAID.items():
        for country in countries:
            for kind in (kinds.FIXED_LINE, kinds.MOBILE):
                example = phonenumbers.example_number_for_type(country, kind)
                if example is not None:
                    written = [
                        phonenumbers.format_number(example, form)
                        for form in (forms.INTERNATIONAL, forms.NATIONAL, forms.E164)
                    ]
                    written.append(re.sub(r"\D", "", written[1]))
                    found += [(number, said.format(number)) for number in dict.fromkeys(written)]
    return found


def test_numbers_of_many_countries_are_found_in_their_sentences() -> None:
    numbers = _numbers()
    lost = [text for number, text in numbers if number not in telephone_numbers(text)]
    assert len(numbers) > 250 and len(lost) <= 2, lost


def test_other_numbers_are_none() -> None:
    texts = [text for line in OTHERS.strip().splitlines() for text in line.split("|")]
    taken = [text for text in texts if list(telephone_numbers(text))]
    assert len(texts) >= 100 and taken == ["2 x 300 400 500", "12 345 67 89 of something"], taken


@pytest.mark.parametrize("text", ["5551234567", "clip 5551234567", "编号13812345678"])
def test_digits_alone_count_beside_a_word_for_them(text: str) -> None:
    assert not list(telephone_numbers(text))
    assert list(telephone_numbers(f"{text}, call it"))


def test_what_is_found_is_told_as_personal() -> None:
    assert list(personal("call 5551234567 or +44 20 7946 0958")) == [
        ("telephone number", "5551234567"), ("telephone number", "+44 20 7946 0958"),
    ]  # fmt: skip
