"""Text that moves is no movement of a thing."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.scripts import DEJAVU
from hardcut.media.ingest import ingest
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.motion import Finding, find_motion
from hardcut.synth.evidence.tracks import Reading, Rect
from hardcut.synth.evidence.writing import Writing, covered, things, writing

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')

SIZE, FPS, SECONDS = (480, 270), 12, 5
NEWS = {
    "English": "The river has risen above the old bridge and all schools in the valley stay closed until Friday",
    "Russian": "Река поднялась выше старого моста, и все школы в долине закрыты до пятницы",
}
CREDITS = ("Written by Anna Ortega", "Camera and light", "Edited in Lisbon", "With thanks to the harbour")


def moving(box: Rect, start: float = 1.0, end: float = 3.0) -> Finding:
    return Finding("motion", "a white thing moves upwards", start, end, box, 0.9)


def test_covered_counts_each_point_once() -> None:
    box = (0.2, 0.2, 0.6, 0.4)
    left = (0.0, 0.0, 0.4, 1.0)
    assert covered(box, [left]) == covered(box, [left, left, (0.1, 0.1, 0.3, 0.5)]) == 0.5
    assert covered(box, []) == covered((0.2, 0.2, 0.2, 0.4), [box]) == 0.0


def test_what_moves_where_text_stands_is_the_text() -> None:
    band = (0.0, 0.8, 1.0, 0.9)
    seen = [Writing(time, (band,)) for time in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)]
    ticker, larger, above = moving((0.1, 0.79, 0.9, 0.91)), moving((0.1, 0.5, 0.9, 0.9)), moving((0.1, 0.2, 0.3, 0.3))
    camera = Finding("motion", "the camera stands still", 0.0, 5.0, None, 0.9)
    assert things([ticker, larger, above, camera], seen) == [larger, above, camera]
    assert things([ticker], [Writing(9.0, (band,))]) == [] == things([ticker], [Writing(0.0, (band,))])
    assert things([ticker], [Writing(20.0, (band,))]) == [ticker], "too long afterwards to tell"
    assert things([ticker], [Writing(0.0, (band,)), Writing(2.0, ())]) == [ticker], "it was gone by then"


def test_signs_on_textures_are_no_lines() -> None:
    line, sign, car = (0.1, 0.1, 0.5, 0.2), (0.6, 0.1, 0.66, 0.2), (0.0, 0.0, 0.9, 0.57)
    cloud = (0.4, 0.04, 0.8, 0.14)
    seen = ("NEWS", 0.9, line), ("ABC", 0.9, sign), ("MEND", 0.9, car), ("", 0.0, cloud), ("me", 0.9, cloud)
    readings = [Reading(0, *each) for each in (*seen, ("WOLKE", 0.4, cloud))]
    assert writing([0.0], [readings], 16 / 9) == [Writing(0.0, (line,))]


def test_what_nobody_reads_is_text_where_it_is_long_and_stays_level() -> None:
    """A ticker in an unknown script; clouds that are one above the other, or in one picture, are none."""

    def told(*boxes: Rect) -> list[int]:
        readings = [[Reading(number, "", 0.0, box)] for number, box in enumerate(boxes)]
        return [len(each.boxes) for each in writing([float(n) for n in range(len(boxes))], readings, 16 / 9)]

    passing = [(max(0.0, 0.9 - 0.2 * step), 0.85, 1.0, 0.94) for step in range(6)]
    assert told(*passing) == [0, 1, 1, 1, 1, 1], "what comes in is too short"
    assert told(*((left, 0.1 + 0.05 * number, right, 0.19 + 0.05 * number)
                  for number, (left, _, right, _) in enumerate(passing))) == [0] * 6  # fmt: skip
    assert told(passing[4], passing[5]) == [0, 0]
    assert told(*[(0.1, 0.4, 0.3, 0.5)] * 6) == [0] * 6, "a sign"


def shown(number: int, text: str) -> Image.Image:
    """A red disc goes to the right in the upper half; below, a ticker or credits pass over plain colour."""
    picture = Image.new("RGB", SIZE, (24, 40, 96))
    draw = ImageDraw.Draw(picture)
    share = number / (SECONDS * FPS)
    x = 60 + 330 * share
    draw.ellipse((x - 26, 34, x + 26, 86), fill=(220, 40, 30))
    font = ImageFont.truetype(DEJAVU, 18) if text == "Russian" else ImageFont.load_default(20)
    if text in NEWS:
        draw.text((440 - 560 * share, 226), NEWS[text], font=font, fill="white")
    else:
        for row, line in enumerate(CREDITS):
            draw.text((130, 250 + 34 * row - 120 * share), line, font=font, fill="white")
        draw.rectangle((0, 0, SIZE[0], 20), fill=(24, 40, 96))
    return picture


@pytest.mark.parametrize("text", ["English", "Russian", "credits"])
def test_scrolling_text_is_no_movement_and_the_thing_beside_it_is(text: str, tmp_path: Path) -> None:
    """Of the ticker something blue was told. In a script that is not read it is told as text that was not read."""
    if text == "Russian" and not DEJAVU.is_file():
        pytest.skip("no font that has the letters: apt-get install fonts-dejavu-core")
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(SECONDS * FPS):
            out.mux(stream.encode(av.VideoFrame.from_image(shown(number, text))))
        out.mux(stream.encode(None))
    got = ingest(str(path), str(tmp_path / "store"), MediaSettings(), surveyed=True)
    assert got.survey
    seen = read_lines(got.frames.frames, got.frames.duration_s, EvidenceSettings())
    kept = things(find_motion(got.survey.bursts), seen.written)
    assert [each.text for each in kept if each.box] == ["a red thing moves from left to right"]
    if text == "Russian":
        assert seen.lines == []
        [passing] = seen.unread
        left, top, right, bottom = passing.box
        assert left < 0.1 and right > 0.9 and 0.8 < top < bottom < 0.95
        assert passing.end - passing.start > 4
