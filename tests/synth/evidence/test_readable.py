from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hardcut.media.ingest import ingest
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.ocr import read_lines
from hardcut.synth.evidence.readable import agreement, believable, crops, mixes_scripts
from hardcut.synth.evidence.tracks import Line, Reading

pytest.importorskip("cv2", reason='needs pip install "hardcut[ocr]"')

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "media"


def line(text: str, confidence: float, seconds: float = 2.0, *readings: str) -> Line:
    box = (0.1, 0.1, 0.5, 0.2)
    return Line(text, 0.0, seconds, box, confidence, Reading(0, text, confidence, box), readings or (text,))


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("Breaking news", False), ("НОВОСТИ МОСКВА", False), ("Москва London", False), ("MOCKBА", True),
        ("Ms i证s", True),
        ("为Youku-AliceMind研究项目专用", False), ("カラオケ店", False), ("속보 서울", False), ("αlpha", True),
        ("3D", False), ("7", False),
    ],
)  # fmt: skip
def test_a_word_is_of_one_script(text: str, mixed: bool) -> None:
    assert mixes_scripts(text) is mixed


def test_what_is_believed() -> None:
    assert believable(line("Harbour market", 0.98), 1.0)
    assert believable(line("MISFITS", 0.75, 2.0, "MISFITS", "MISFITS"), 0.6), "read twice"
    assert not believable(line("MISFITS", 0.75, 2.0, "MISFITS", "MISFNS"), 0.6), "a reading that never repeats"
    often = ("inai", "inai", "nai", "lnai", "naii")
    assert not believable(line("inai", 0.75, 2.0, *often), 0.8), "most pictures say something else"
    assert not believable(line("MISFNS", 0.99), 0.4), "another crop says something else"
    assert believable(line("7", 0.99), 1.0)
    assert not believable(line("7", 0.99, 0.5), 1.0) and not believable(line("油", 0.99, 4.0), 0.8)
    assert not believable(line("CE", 0.79, 1.0, "CE", "CE"), 1.0) and not believable(line("41", 0.9, 0.5), 1.0)
    assert not believable(line("MOCKBА", 1.0), 1.0), "look-alikes of two scripts"


def test_crops_agree_letter_by_letter_but_for_a_slip_in_a_long_line() -> None:
    assert agreement("Gate 17", ["gate17", "Gate 11", "Gate 17"]) == pytest.approx(2 / 3)
    assert agreement("Breaking news tonight", ["Breaking news tonigh", "Breaking"]) == 0.5
    assert agreement("Gate 17", []) == 0.0


@pytest.mark.parametrize("size", [(1, 1), (2, 90), (40, 3), (30, 200)])
def test_crops_of_any_picture(size: tuple[int, int]) -> None:
    found = list(crops(np.zeros((*size, 3), np.uint8)))
    assert len(found) == 5 and all(min(crop.shape[:2]) > 0 for crop in found)


@pytest.mark.skipif(not CASES.is_dir(), reason="no folder of shared cases beside the checkout (../shared/cases)")
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("ocr/ko1", []), ("ocr/ru1", []), ("ocr/ru4", []), ("ocr/ar1", []), ("ocr/es", ["¿Qué pasó mañana?"]),
        ("moving/parallax_plant_1fps", []), ("moving/handheld_ball", []),
    ],
)  # fmt: skip
def test_shared_cases(name: str, right: list[str], tmp_path: Path) -> None:
    """What is of no script that the recogniser knows, and plants and balls, is not read as look-alikes."""
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    stored = ingest(str(CASES / f"{name}.mp4"), str(tmp_path), MediaSettings()).frames
    lines, _ = read_lines(stored.frames, stored.duration_s, EvidenceSettings())
    assert [each.text for each in lines] == right
