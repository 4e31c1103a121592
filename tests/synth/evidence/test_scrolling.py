"""Text that scrolls: pieces as a recogniser reads them, put together, and what does not scroll left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardcut.media.ingest import ingest
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.scrolling import put_together
from hardcut.synth.evidence.tracks import Reading
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


@pytest.mark.skipif(not CASES.is_dir(), reason="no folder of shared cases beside the checkout (../shared/cases)")
def test_the_shared_ticker(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
    stored = ingest(str(CASES / "ocr" / "ticker.mp4"), str(tmp_path), MediaSettings()).frames
    [line], *_ = read_lines(stored.frames, stored.duration_s, EvidenceSettings())
    assert line.text == "Breaking news tonight the river has risen above the old bridge and schools stay closed"
    assert line.start < 1 and line.end > 7.5
