from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence import frame_reader
from hardcut.synth.evidence.known_lines import KnownLines
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.tracks import Reading, Rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 320, 180
PLACE = 20, 30
PAIRS = [
    ("Platform 7", "Platform 8"), ("3,50", "3.50"), ("cafe", "café"), ("Gate 1", "Gate 7"), ("HARBOUR", "HARB0UR"),
    ("STOP", "ST0P"), ("bad", "had"), ("naive", "naïve"), ("USA.", "USA,"), ("10:30", "10;30"), ("12 May", "12 Mai"),
    ("Tin tuc", "Tin tức"), ("words", "word"), ("word", "words"), ("Gate 1", "Gate 17"), ("fold", "fo1d"),
]  # fmt: skip


def ground(seed: int, rough: bool = False) -> Image.Image:
    """Soft colours as behind most captions; rough ones as of leaves."""
    cells = (90, 160, 3) if rough else (12, 20, 3)
    coarse = np.random.default_rng(seed).integers(60, 180, cells).astype(np.uint8)
    return Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)


def shown(text: str, size: int, seed: int, ink: int = 255, *, rough: bool = False) -> NDArray[np.uint8]:
    """A line over a ground, as it comes out of a JPEG, in grey."""
    image = ground(seed, rough)
    ImageDraw.Draw(image).text(PLACE, text, font=ImageFont.load_default(size), fill=(ink, ink, ink))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return np.asarray(Image.open(file).convert("L"), dtype=np.uint8)


def box_of(text: str, size: int) -> Rect:
    left, top, right, bottom = ImageFont.load_default(size).getbbox(text)
    x, y = PLACE
    return (x + left - 2) / SIZE[0], (y + top - 2) / SIZE[1], (x + right + 2) / SIZE[0], (y + bottom + 2) / SIZE[1]


def knowing(text: str, size: int, seed: int, ink: int = 255, *, confidence: float = 0.99) -> KnownLines:
    """Who saw the line three times over one picture."""
    known = KnownLines()
    for frame in range(3):
        known.add(shown(text, size, seed, ink), Reading(frame, text, confidence, box_of(text, size)))
    return known


@pytest.mark.parametrize("ink", [255, 0])
@pytest.mark.parametrize("size", [20, 24, 32, 44])
def test_a_line_that_differs_by_a_letter_or_a_mark_is_another(size: int, ink: int) -> None:
    """Also where the detector gives both the box of the other one."""
    taken = [
        (text, other)
        for seed, (text, other) in enumerate(PAIRS)
        for box in (box_of(text, size), box_of(other, size))
        if knowing(text, size, seed, ink).find(shown(other, size, seed + 100, ink), box)
    ]
    assert taken == []


@pytest.mark.parametrize("size", [20, 24, 32])
def test_a_line_over_another_soft_picture_is_known_again(size: int) -> None:
    texts = [text for text, _ in PAIRS]
    known = [
        text
        for seed, text in enumerate(texts)
        if (found := knowing(text, size, seed).find(shown(text, size, seed + 100), box_of(text, size)))
        and found.text == text
    ]
    assert len(known) >= 0.8 * len(texts), known


def test_over_rough_pictures_and_elsewhere_nothing_is_known() -> None:
    left, top, right, bottom = box_of("HARBOUR", 24)
    known = knowing("HARBOUR", 24, 1)
    assert known.find(shown("HARBOUR", 24, 2), (left, top, right, bottom))
    assert not known.find(shown("HARBOUR", 24, 2, rough=True), (left, top, right, bottom))
    assert not known.find(shown("HARBOUR", 24, 2), (left, top + 0.3, right, bottom + 0.3))
    assert not known.find(np.asarray(ground(2).convert("L")), (left, top, right, bottom))


def test_what_is_small_faint_or_doubtful_is_always_read() -> None:
    assert not knowing("HARBOUR", 10, 1).find(shown("HARBOUR", 10, 2), box_of("HARBOUR", 10))
    assert not knowing("HARBOUR", 24, 1, 200).find(shown("HARBOUR", 24, 2, 200), box_of("HARBOUR", 24))
    assert not knowing("HARBOUR", 24, 1, confidence=0.9).find(shown("HARBOUR", 24, 2), box_of("HARBOUR", 24))


def test_one_reading_is_not_believed_for_all_pictures() -> None:
    """What is read otherwise now and then is put to the vote, as ever."""
    box = box_of("HARBOUR", 24)
    known, over = KnownLines(), shown("HARBOUR", 24, 2)
    for frame, text in enumerate(["HARBOUR", "HARB0UR", "HARBOUR", "HARBOUR"]):
        known.add(shown("HARBOUR", 24, 1), Reading(frame, text, 0.99, box))
        assert known.find(over, box) is None
    known.add(over, Reading(4, "HARBOUR", 0.99, box))
    found = known.find(over, box)
    assert found is not None and found.text == "HARBOUR"


def test_letters_beside_a_lamp_are_no_yardstick() -> None:
    """What is brighter than the letters would make every letter look as if it covered little."""

    def lit(text: str, seed: int) -> NDArray[np.uint8]:
        grey = shown(text, 24, seed, 185).copy()
        grey[:] = np.minimum(grey, 190)
        grey[30:60, 20:34] = 255
        return grey

    box = box_of("HARBOUR", 24)
    known = KnownLines()
    for frame in range(3):
        known.add(lit("HARBOUR", 1), Reading(frame, "HARBOUR", 0.99, box))
    assert not known.find(lit("HARROUR", 2), box)


def test_a_caption_over_one_picture_after_another_is_read_a_few_times(
    store_frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    pytest.importorskip("onnxruntime", reason='needs pip install "hardcut[ocr]"')
    read: list[int] = []
    recognise = frame_reader._recognise

    def counting(engine, index, *rest):
        read.append(index)
        return recognise(engine, index, *rest)

    monkeypatch.setattr(frame_reader, "_recognise", counting)
    captions, pictures = ["HARBOUR", "MARKET", "STATION"], []
    for number in range(24):
        picture = ground(number)
        ImageDraw.Draw(picture).text(PLACE, captions[number % 3], font=ImageFont.load_default(24), fill=(255, 255, 255))
        pictures.append(picture)
    lines, *_ = read_lines(store_frames(pictures, 0.1), 240.0, EvidenceSettings())
    assert [line.text for line in lines] == captions * 8
    assert len(read) <= 15
