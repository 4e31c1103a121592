"""Text that scrolls: pieces as a recogniser reads them, put together, and what does not scroll left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from hardcut.media.ingest import ingest
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.scrolling import put_together, whole_lines
from hardcut.synth.evidence.tracks import Line, Reading
from tests.synth.evidence.test_motion import CASES

TEXT = "Ferries to the islands are cancelled until noon because of strong winds from the north"
LETTER = 0.025
"""Width of a letter; the picture has forty."""


def passing(text: str, step: float = 0.2, *, half: str = "") -> list[Reading]:
    """What is read of a text that comes in at the right and leaves at the left. `half` takes the place of each letter
    that an edge cuts."""
    readings = []
    for number in range(1, 200):
        start = 1 - number * step
        end = start + LETTER * len(text)
        if end < 0.3:
            break
        first = max(0, round(-start / LETTER))
        last = min(len(text), round((1 - start) / LETTER))
        said = text[first:last]
        if half:
            said = (half if first else "") + said[bool(first) : len(said) - (last < len(text))]
            said += half if last < len(text) else ""
        box = (max(0.0, start), 0.9, min(1.0, end), 0.95)
        readings.append(Reading(number, said, 0.99, box))
    return readings


@pytest.mark.parametrize("half", ["", "v"])
@pytest.mark.parametrize("step", [0.1, 0.2, 0.35])
def test_a_text_that_passes_is_told_as_a_whole(step: float, half: str) -> None:
    assert put_together(passing(TEXT, step, half=half)) == TEXT


def test_what_does_not_come_in_as_a_whole_is_told_up_to_its_last_whole_word() -> None:
    some = passing(TEXT)[:8]
    told = put_together(some)
    assert told is not None and TEXT.startswith(told) and TEXT[len(told)] == " "
    assert len(told) > max(len(reading.text) for reading in some)


def test_what_stands_or_goes_the_other_way_or_has_gaps_is_left_alone() -> None:
    readings = passing(TEXT)
    still = [Reading(number, "Ferries to the islands", 0.99, (0.1, 0.9, 0.6, 0.95)) for number in range(6)]
    assert put_together(still) is None
    assert put_together(readings[::-1]) is None
    assert put_together(readings[:2]) is None
    assert put_together(readings[::9]) is None
    falling = [Reading(r.frame, r.text, 0.99, (r.box[0], 0.1 * n, r.box[2], 0.1 * n + 0.05))
               for n, r in enumerate(readings[:8])]  # fmt: skip
    assert put_together(falling) is None


def line_of(readings: list[Reading]) -> Line:
    """A line as `follow` gives it: two pictures a second."""
    best = readings[-1]
    start, end = readings[0].frame / 2 - 0.25, readings[-1].frame / 2 + 0.25
    said = tuple(reading.text for reading in readings)
    return Line(best.text, start, end, best.box, 0.99, best, said, tuple(readings))


def test_pieces_of_one_text_are_one_line_from_its_first_to_its_last() -> None:
    readings = passing(TEXT, 0.35)
    pieces = [line_of(readings[:1]), line_of(readings[1:3]), *(line_of([each]) for each in readings[3:])]
    [told] = whole_lines(pieces)
    assert told.text == TEXT
    assert (told.start, told.end) == (pieces[0].start, pieces[-1].end)
    assert told.box[0] == 0.0 and told.box[2] == 1.0


def test_lines_that_follow_each_other_stay_apart() -> None:
    """Subtitles in the middle of the picture, though words come again; another text in the same band; two bands."""
    spoken = ["We go to the old harbour", "go to the old harbour with me", "the old harbour with me today"]
    subtitles = [line_of([Reading(n, text, 0.99, (0.3, 0.8, 0.7, 0.85))]) for n, text in enumerate(spoken)]
    assert whole_lines(subtitles) == subtitles
    readings = passing(TEXT, 0.35)
    other = [Reading(r.frame, "The lamp posts of this street", 0.99, r.box) for r in readings[2:4]]
    mixed = [line_of(readings[:2]), line_of(other)]
    assert whole_lines(mixed) == mixed
    above = [Reading(r.frame, r.text, r.confidence, (r.box[0], 0.1, r.box[2], 0.15)) for r in readings[2:]]
    bands = [line_of(readings[:2]), line_of(above)]
    assert [line.box[1] for line in whole_lines(bands)] == [0.9, 0.1]


@pytest.mark.parametrize("speed", [120, 320, 480])
def test_a_fast_ticker_is_one_line(speed: int, store_frames) -> None:
    """Pixels a second of 640, four pictures a second: from the first piece to the last."""
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    font = ImageFont.load_default(24)
    lasts = (640 + font.getlength(TEXT)) / speed
    pictures = []
    for number in range(int(lasts * 4)):
        picture = Image.new("RGB", (640, 360), (60, 80, 90))
        draw = ImageDraw.Draw(picture)
        draw.rectangle((0, 310, 640, 350), fill=(20, 20, 60))
        draw.text((640 - speed * number / 4, 316), TEXT, font=font, fill=(250, 250, 250))
        pictures.append(picture)
    lines, not_read, _ = read_lines(store_frames(pictures, 4), lasts, EvidenceSettings())
    assert [line.text for line in lines] == [TEXT]
    assert lines[0].start < 1 and lines[0].end > lasts - 1
    assert not_read == []


@pytest.mark.skipif(not CASES.is_dir(), reason="no folder of shared cases beside the checkout (../shared/cases)")
def test_the_shared_ticker(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    stored = ingest(str(CASES / "ocr" / "ticker.mp4"), str(tmp_path), MediaSettings()).frames
    [line], *_ = read_lines(stored.frames, stored.duration_s, EvidenceSettings())
    assert line.text == "Breaking news tonight the river has risen above the old bridge and schools stay closed"
    assert line.start < 1 and line.end > 7.5
