"""Text of eight languages over noise: how many words are read right, read wrong, and told as unread.

    python benchmarks/scripts.py [--data FOLDER] [--out benchmarks/results/scripts.json]

Each line stands for 3 s over noise that changes with every picture. It is read three times: without the second
recogniser, with all its languages, and with the language of the line alone. A word is right if the evidence has it,
case apart. A word of the evidence that the line does not have is wrong. Fonts: Debian's `fonts-dejavu-core`,
`fonts-wqy-microhei` (Hangul), `fonts-lohit-deva` (Devanagari), `fonts-tlwg-loma-ttf` (Thai).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hardcut.engine.files import atomic_writer
from hardcut.media.frames import Frame
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence.lines import read_lines

FONTS = Path("/usr/share/fonts/truetype")
DEJAVU, DEJAVU_BOLD = FONTS / "dejavu/DejaVuSans.ttf", FONTS / "dejavu/DejaVuSans-Bold.ttf"
LANGUAGES: dict[str, tuple[str, tuple[Path, ...]]] = {
    "ru": ("rus", (DEJAVU, DEJAVU_BOLD)),
    "ko": ("kor", (FONTS / "wqy/wqy-microhei.ttc",)),
    "ar": ("ara", (DEJAVU, DEJAVU_BOLD)),
    "hi": ("hin", (FONTS / "lohit-devanagari/Lohit-Devanagari.ttf",)),
    "el": ("ell", (DEJAVU, DEJAVU_BOLD)),
    "th": ("tha", (FONTS / "tlwg/Loma.ttf", FONTS / "tlwg/Loma-Bold.ttf")),
    "en": ("eng", (DEJAVU, DEJAVU_BOLD)),
    "de": ("deu", (DEJAVU, DEJAVU_BOLD)),
}
"""For each language: Tesseract's name of it, and fonts that have its script."""
LINES: dict[str, tuple[str, ...]] = {
    "ru": (
        "НОВОСТИ МОСКВА", "Аэропорт закрыт", "ПОЖАР В ЦЕНТРЕ ГОРОДА", "Прогноз погоды на завтра", "СРОЧНО",
        "Выборы президента", "ТОРТ НА ЗАКАЗ", "Мост через реку открыт", "КАССА", "Вход со двора",
        "Поезд опаздывает на час", "РЕСТОРАН ВОСТОК",
    ),
    "ko": (
        "속보 서울 화재", "내일의 날씨", "공항 폐쇄", "대통령 선거 결과", "출구는 오른쪽", "지하철 운행 중단",
        "오늘의 뉴스",
        "부산 바다 축제", "학교 앞 천천히", "한국 경제 성장", "비가 많이 옵니다", "주차 금지",
    ),
    "ar": (
        "عاجل: حريق في السوق", "الأخبار المسائية", "المطار مغلق", "نتائج الانتخابات", "الطقس غدا", "ممنوع الوقوف",
        "مدرسة القرية", "مرحبا بكم", "سوق السمك", "كأس العالم", "الطريق مغلق", "محطة القطار",
    ),
    "hi": (
        "ताज़ा समाचार", "दिल्ली में बारिश", "हवाई अड्डा बंद", "चुनाव के नतीजे", "कल का मौसम", "भारत की जीत", "रेलवे स्टेशन",
        "आपका स्वागत है", "बाजार में आग", "नया पुल खुला", "स्कूल बंद रहेंगे", "पानी की कमी",
    ),
    "el": (
        "ΕΚΤΑΚΤΟ ΔΕΛΤΙΟ", "Φωτιά στην Αθήνα", "ΑΕΡΟΔΡΟΜΙΟ ΚΛΕΙΣΤΟ", "Ο καιρός αύριο", "ΝΕΑ ΤΗΣ ΗΜΕΡΑΣ",
        "Εκλογές στην Κύπρο",
        "ΕΞΟΔΟΣ", "Το τρένο καθυστερεί", "ΤΑΜΕΙΟ", "ΚΑΤΑΣΤΗΜΑ ΠΑΙΧΝΙΔΙΩΝ", "Καλημέρα Ελλάδα", "ΜΟΝΗ ΤΟΥ ΟΡΟΥΣ",
    ),
    "th": (
        "ข่าวด่วน", "ไฟไหม้ตลาด", "สนามบินปิด", "ผลการเลือกตั้ง", "อากาศพรุ่งนี้", "ยินดีต้อนรับ", "สถานีรถไฟ", "ห้ามจอดรถ",
        "โรงเรียนวัดใหม่", "น้ำท่วมกรุงเทพ", "ร้านอาหารไทย", "เปิดสะพานใหม่",
    ),
    "en": (
        "Breaking news tonight", "AIRPORT CLOSED", "STOP", "Weather for tomorrow", "TAXI", "ELECTION RESULTS",
        "Bridge open again", "COME TO THE MARKET", "EXIT", "Harbour fish market", "HOT COFFEE",
        "Train late by one hour",
    ),
    "de": (
        "Nachrichten am Abend", "FLUGHAFEN GESPERRT", "Wetter von morgen", "AUSGANG", "Brücke wieder offen",
        "ACHTUNG BAHN", "Kein Zutritt", "TORTEN VOM BÄCKER", "Der Zug hat Verspätung", "KASSE", "Markt am Hafen",
        "HALT",
    ),
}  # fmt: skip
SIZES = (22, 30, 40)
"""Heights of the letters in pixels, in turn."""
PICTURES, FPS = 6, 2.0


def picture(text: str, font: Path, size: int, seed: int) -> Image.Image:
    """White letters with a dark edge over noise, 640 x 360."""
    noise = np.random.default_rng(seed)
    small = noise.integers(40, 150, (90, 160, 3), dtype=np.uint8)
    ground = np.asarray(Image.fromarray(small).resize((640, 360), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = noise.integers(-12, 13, ground.shape, dtype=np.int16)
    image = Image.fromarray((ground + grain).clip(0, 255).astype(np.uint8))
    letters = ImageFont.truetype(str(font), size)
    where, white, black = (50, 280), (250, 250, 250), (0, 0, 0)
    ImageDraw.Draw(image).text(where, text, font=letters, fill=white, stroke_width=2, stroke_fill=black)
    return image


def frames(text: str, font: Path, size: int, folder: Path) -> list[Frame]:
    """The line over 3 s, as the pictures of a frame store."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for index in range(PICTURES):
        path = folder / f"{index:05d}.jpg"
        picture(text, font, size, index).save(path, quality=90)
        found.append(Frame(path, index / FPS, hashlib.sha256(path.read_bytes()).hexdigest()))
    return found


def words(text: str) -> list[str]:
    """The words of a text without case and points."""
    plain = unicodedata.normalize("NFKC", text.casefold())
    return re.findall(r"[\w\u0300-\u036f\u0900-\u097f\u0e00-\u0e7f]+", plain)


def count(text: str, read: Sequence[str]) -> Counter[str]:
    """Words right, wrong and unread of one line. A text without blanks between words is one word."""
    true, said = Counter(words(text)), Counter(word for line in read for word in set(words(line)))
    right = sum((true & said).values())
    wrong = [word for word in said if word not in true]
    return Counter(words=true.total(), right=right, wrong=len(wrong), unread=max(0, true.total() - right - len(wrong)))


def measure(language: str, settings: EvidenceSettings, folder: Path) -> tuple[Counter[str], list[dict[str, object]]]:
    """The counts over all lines of a language, and what was read where it was not right."""
    total: Counter[str] = Counter(lines=0, words=0, right=0, wrong=0, unread=0, told_unread=0)
    slips: list[dict[str, object]] = []
    _, fonts = LANGUAGES[language]
    for number, text in enumerate(LINES[language]):
        font, size = fonts[number % len(fonts)], SIZES[number % len(SIZES)]
        shown = frames(text, font, size, folder / f"{language}{number}")
        lines, not_read, _ = read_lines(shown, PICTURES / FPS, settings)
        read = [line.text for line in lines]
        counted = count(text, read)
        total.update(counted)
        total.update(lines=1, told_unread=int(bool(not_read) and not read))
        if counted["right"] < counted["words"] or counted["wrong"]:
            slips.append({"line": text, "read": read, "unread": [each.told for each in not_read]})
    return total, slips


def shares(counted: Counter[str]) -> dict[str, object]:
    """The counts, and the share of the words that is right."""
    return {**counted, "right_share": round(counted["right"] / counted["words"], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of Tesseract's language data; default: the system's")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scripts.json")
    parser.add_argument("languages", nargs="*", default=list(LANGUAGES))
    options = parser.parse_args()
    scripts = tuple(name for name, _ in LANGUAGES.values() if name not in ("eng", "deu"))
    results: dict[str, object] = {}
    for language in options.languages:
        own = LANGUAGES[language][0]
        kinds = {"without": (), "all": scripts, **({"alone": (own,)} if own in scripts else {})}
        told: dict[str, object] = {}
        for kind, names in kinds.items():
            with tempfile.TemporaryDirectory() as folder:
                settings = EvidenceSettings(ocr_languages=names, ocr_data=options.data)
                began = time.process_time()
                counted, slips = measure(language, settings, Path(folder))
                took = round((time.process_time() - began) / len(LINES[language]), 2)
            told[kind] = {**shares(counted), "cpu_s_per_line": took, "slips": slips}
            print(language, kind, shares(counted), took, flush=True)
        results[language] = told
        with atomic_writer(options.out) as file:
            json.dump(results, file, ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main()
