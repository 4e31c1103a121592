from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hardcut.media.ingest import ingest
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.readable import CROPS, FAIRLY_STABLE, agree, believable, crops, is_faint, mixes_scripts
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


def crops_that(say: str, *, agree: int) -> Iterator[str]:
    """What five crops are read as; those that agree come first."""
    yield from [say] * agree + ["something else"] * (CROPS - agree)


def believed(line: Line, agree: int) -> bool:
    return believable(line, crops_that(line.text, agree=agree))


def test_of_a_long_line_some_crops_must_give_every_letter() -> None:
    """Small print: each crop slips in another letter, and so did the reading (it says "permitted")."""
    read = line("photography is not pormited", 0.91, 2.0, *["photography is not pormited"] * 2)
    slips = ["photography ia not pormited", "photagraphy is not pormited", "photography is nut pormited"]
    assert not believable(read, [*slips, read.text, "photography is not parmited"])
    assert believable(read, [slips[0], read.text, read.text, slips[1], slips[2]]), "two give all of it"
    sure = replace(read, confidence=0.99)
    assert not believable(sure, [*slips, read.text, slips[0]])
    assert believable(sure, [read.text, read.text])


@pytest.mark.parametrize(("ink", "seen"), [((140, 140, 140), False), ((190, 190, 190), True), ((128, 128, 200), True)])
def test_what_is_hardly_seen_is_no_evidence(ink: tuple[int, int, int], seen: bool) -> None:
    """Letters a twentieth darker or lighter than what is behind them. A colour may differ where brightness does not."""
    import cv2

    picture = np.full((30, 260, 3), 128, dtype=np.uint8)
    cv2.putText(picture, "no refunds", (5, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.8, ink, 2)
    assert is_faint(picture) is not seen


def test_what_is_believed() -> None:
    assert believed(line("Harbour market", 0.98), 5)
    assert believed(line("MISFITS", 0.75, 2.0, "MISFITS", "MISFITS"), 3), "read twice"
    assert not believed(line("MISFITS", 0.75, 2.0, "MISFITS", "MISFNS"), 3), "a reading that never repeats"
    often = ("inai", "inai", "nai", "lnai", "naii")
    assert not believed(line("inai", 0.75, 2.0, *often), 4), "most pictures say something else"
    assert not believed(line("MISFNS", 0.94), 2), "another crop says something else"
    assert believed(line("7", 0.99), 5)
    assert not believed(line("7", 0.99, 0.5), 5) and not believed(line("油", 0.99, 4.0), 4)
    assert not believed(line("CE", 0.79, 1.0, "CE", "CE"), 5) and not believed(line("41", 0.9, 0.5), 5)
    assert not believed(line("MOCKBА", 1.0), 5), "look-alikes of two scripts"


@pytest.mark.parametrize(
    ("confidence", "readings", "right", "asked"),
    [
        (0.99, ["Gate 17"] * 5, True, 2),  # a sure reading whose first crops agree
        (0.9, ["Gate 17"] * 5, True, 4),
        (0.99, ["Gate 17", "Gate 11", "Gate 17", "Gate 17", "Gate 17"], True, 5),
        (0.99, ["Gate 11", "Gate 11", "Gate 17", "Gate 17", "Gate 17"], False, 2),  # four of five cannot be any more
        (0.5, ["Gate 17"] * 5, False, 0),
    ],
)
def test_no_more_crops_are_read_than_decide(confidence: float, readings: list[str], right: bool, asked: int) -> None:
    others = iter(readings)
    assert believable(line("Gate 17", confidence), others) is right
    assert len(readings) - len(list(others)) == asked


def test_what_another_picture_said_in_the_same_place_needs_no_crops() -> None:
    before = [line("HARBOUR", 0.99)]
    assert believable(line("HARBOUR", 0.9), crops_that("HARBOUR", agree=0), before)
    assert not believable(line("HARBOUR", 0.75), crops_that("HARBOUR", agree=0), before), "not read surely"
    elsewhere = replace(before[0], box=(0.5, 0.6, 0.9, 0.7))
    assert not believable(line("HARBOUR", 0.9), crops_that("HARBOUR", agree=0), [elsewhere])
    assert not believable(line("HARBOURS", 0.9), crops_that("HARBOURS", agree=0), before)


def test_crops_agree_letter_by_letter_but_for_a_slip_in_a_long_line() -> None:
    gate, news = line("Gate 17", 0.9), line("Breaking news tonight", 0.9)
    assert agree(gate, ["gate17"] * 3, FAIRLY_STABLE) and not agree(gate, ["Gate 11"] * CROPS, FAIRLY_STABLE)
    slip = "Breaking news tonigh"
    assert agree(news, [slip, news.text, news.text], FAIRLY_STABLE)
    assert not agree(news, [slip] * (CROPS - 1) + [news.text], FAIRLY_STABLE)
    assert not agree(news, ["Breaking"] * CROPS, FAIRLY_STABLE) and not agree(gate, [], FAIRLY_STABLE)


@pytest.mark.parametrize("size", [(1, 1), (2, 90), (40, 3), (30, 200)])
def test_crops_of_any_picture(size: tuple[int, int]) -> None:
    found = list(crops(np.zeros((*size, 3), np.uint8)))
    assert len(found) == CROPS and all(min(crop.shape[:2]) > 0 for crop in found)


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
    lines, *_ = read_lines(stored.frames, stored.duration_s, EvidenceSettings())
    assert [each.text for each in lines] == right
