"""Text in scripts that the first recogniser does not know: read with Tesseract's language data, else told as unread."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
pytest.importorskip("onnxruntime", reason='needs pip install "hardcut[ocr]"')

from benchmarks.scripts import FPS, LANGUAGES, LINES, PICTURES, frames, words
from hardcut.media.ingest import ingest
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence import tesseract
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.lookalikes import may_be_lookalikes
from hardcut.synth.evidence.lost_letters import may_lack_letters
from hardcut.synth.evidence.ocr import ocr_evidence, unread_text
from hardcut.synth.evidence.tesseract import data_of, language_settings, of_video
from hardcut.synth.evidence.tracks import Line, Reading
from hardcut.synth.evidence.unread import Unread, unread
from tests.synth.evidence.test_motion import CASES

RUSSIAN, KOREAN = (0, 1, 7), (5, 7, 10)
"""Lines that are read whole; the benchmark counts all."""


def shown(language: str, number: int, folder: Path):
    font = LANGUAGES[language][1][0]
    if not font.is_file():
        pytest.skip(f"no font {font.name}: apt-get install fonts-dejavu-core fonts-wqy-microhei")
    return frames(LINES[language][number], font, 30, folder / f"{language}{number}")


def with_data(*languages: str) -> EvidenceSettings:
    pytest.importorskip("tesserocr", reason='needs pip install "hardcut[ocr-scripts]"')
    for language in languages:
        try:
            data_of(language, None)
        except UsageError as error:
            pytest.skip(f"no language data: {error}")
    return EvidenceSettings(ocr_languages=languages)


@pytest.mark.parametrize(("language", "data", "numbers"), [("ru", "rus", RUSSIAN), ("ko", "kor", KOREAN)])
def test_with_its_data_a_script_is_read(make_video, tmp_path: Path, language: str, data: str, numbers) -> None:
    settings = with_data(data)
    for number in numbers:
        lines, not_read, _ = read_lines(shown(language, number, tmp_path), PICTURES / FPS, settings)
        [item] = ocr_evidence(make_video(duration_s=3), lines, "rapidocr")
        assert words(item.text) == words(LINES[language][number])
        assert item.extractor == f"tesseract-{data}"
        assert item.language == {"ru": "und-Cyrl", "ko": "ko"}[language]
        assert not_read == []


@pytest.mark.parametrize("language", ["ru", "ko"])
def test_without_it_the_text_is_told_as_unread(make_video, tmp_path: Path, language: str) -> None:
    for number in (0, 1, 8):
        lines, not_read, _ = read_lines(shown(language, number, tmp_path), PICTURES / FPS, EvidenceSettings())
        assert lines == []
        told = unread_text(make_video(duration_s=3), not_read)
        assert told and all(item.reason == "unread_text" for item in told)
        assert "what looks like text" in told[0].detail


def test_a_video_in_latin_letters_is_read_as_before(tmp_path: Path) -> None:
    settings = with_data("rus", "kor")
    lines, *_ = read_lines(shown("en", 0, tmp_path), PICTURES / FPS, settings)
    assert [(line.text, line.best.reader) for line in lines] == [("Breaking news tonight", "")]


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("KACCA", True), ("TOPT HA 3AKA3", True), ("HOBOT MOKBA", True), ("PECTOPAH BOCTOK", True), ("TAMEIO", True),
        ("STOP", False), ("TAXI", False), ("EXIT", False), ("COME TO THE MARKET", False), ("KITCHEN", False),
        ("Exit", False), ("12:30", False), ("nice main", False), ("站台", False),
    ],
)  # fmt: skip
def test_what_may_be_lookalikes(text: str, alike: bool) -> None:
    assert may_be_lookalikes(text) is alike


def test_the_language_of_the_video_decides(tmp_path: Path) -> None:
    assert of_video(("rus", "kor"), "ko-KR") == ("kor",)
    assert of_video(("rus", "kor"), "el") == of_video(("rus", "kor"), None) == ("rus", "kor")
    word = shown("ru", 8, tmp_path)  # КАССА, read KACCA
    assert read_lines(word, PICTURES / FPS, EvidenceSettings())[0] == []
    [line] = read_lines(word, PICTURES / FPS, EvidenceSettings(), language="de")[0]
    assert line.text == "KACCA"


def test_missing_data_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tesseract, "FOLDERS", ())
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    with pytest.raises(UsageError, match="no language data for rus: apt-get install tesseract-ocr-rus"):
        data_of("rus", None)
    with pytest.raises(UsageError, match=r"rus.traineddata is not in .*: apt-get install tesseract-ocr-rus"):
        data_of("rus", str(tmp_path))
    with pytest.raises(UsageError, match="'russian' is none of ara, asm"):
        data_of("russian", None)


def test_data_is_known_by_its_content(tmp_path: Path) -> None:
    settings = with_data("rus")
    here = tmp_path / "data"
    here.mkdir()
    shutil.copy(data_of("rus", None), here / "rus.traineddata")
    elsewhere = settings.model_copy(update={"ocr_data": str(here)})
    assert language_settings(settings) == language_settings(elsewhere)
    with (here / "rus.traineddata").open("ab") as data:
        data.write(b"\0")
    assert language_settings(settings) != language_settings(elsewhere)


def test_a_place_of_text_is_told_once() -> None:
    times = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    box, other = (0.1, 0.7, 0.5, 0.8), (0.6, 0.1, 0.9, 0.2)
    readings = [[Reading(i, "" if i % 2 else "HOB", 0.0, box), Reading(i, "Gate 17", 0.9, other)] for i in range(6)]
    line = Line("Gate 17", 0.0, 2.75, other, 0.9, readings[0][1], ("Gate 17",) * 6)
    assert unread(times, readings, [line], 2.75) == [Unread(0.0, 2.75, box, "HOB")]
    half = Line("HOBOCTИ", 1.75, 2.75, box, 0.9, readings[5][0], ("HOBOCTИ",))
    assert unread(times, readings, [line, half], 2.75) == [], "the same text, read in later pictures"
    assert unread(times[:2], readings[:2], [line], 2.75) == [], "seen too briefly to be sure that it is text"


VIETNAMESE = CASES / "ocr" / "vi.mp4"


@pytest.mark.skipif(not VIETNAMESE.is_file(), reason="no folder of shared cases beside the checkout (../shared/cases)")
def test_letters_that_the_first_recogniser_does_not_know_are_no_reading_without_them(tmp_path: Path) -> None:
    """`Tin tức hôm nay` was read as `Tin tc hôm nay`, at .999."""
    stored = ingest(str(VIETNAMESE), str(tmp_path), MediaSettings()).frames
    for language in (None, "vi"):
        lines, [place], _ = read_lines(stored.frames, stored.duration_s, EvidenceSettings(), language=language)
        assert lines == [] and place.doubtful == "Tin tc hôm nay"
    spanish = ingest(str(CASES / "ocr" / "es.mp4"), str(tmp_path), MediaSettings()).frames
    assert [each.text for each in read_lines(spanish.frames, spanish.duration_s, EvidenceSettings())[0]] == [
        "¿Qué pasó mañana?"
    ]
    settings = with_data("vie")
    [line], not_read, _ = read_lines(stored.frames, stored.duration_s, settings)
    assert (line.text, line.best.reader, not_read) == ("Tin tức hôm nay", "tesseract-vie", [])
    [line], *_ = read_lines(spanish.frames, spanish.duration_s, settings)
    assert (line.text, line.best.reader) == ("¿Qué pasó mañana?", ""), "what has no such letter stays as it was read"


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("Tin tc hôm nay", True), ("đưng ph", True), ("Tin tức hôm nay", False), ("Breaking news", False),
        ("PgDn", False), ("Hôtel 5 km", False), ("Thủ đô", False), ("STRČ PRST SKRZ KRK", False), ("Câu chuyn", False),
    ],
)  # fmt: skip
def test_which_lines_may_lack_letters(text: str, lost: bool) -> None:
    """A word that keeps a vowel is not noticed: `Câu chuyn` for `Câu chuyện`."""
    assert may_lack_letters(text) is lost
