"""Contact sheets."""

from __future__ import annotations

import io
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from hardcut.media.frames import Frame
from hardcut.media.sheet import contact_sheet
from hardcut.schemas.text.times import clock_time


@pytest.fixture
def frames(tmp_path):
    def make(count, size=(160, 90)):
        made = []
        for number in range(count):
            path = tmp_path / f"{number}-{size[0]}.jpg"
            Image.new("RGB", size, (200, 20 * number % 256, 60)).save(path)
            made.append(Frame(path, number * 0.75, sha256(path.read_bytes()).hexdigest()))
        return made

    return make


def test_size_and_place(frames):
    sheet = Image.open(io.BytesIO(contact_sheet(frames(7), columns=3, width=480)))
    assert (sheet.format, sheet.width) == ("JPEG", 480)
    pixels = np.asarray(sheet).astype(int)
    cell = (480 - 4 * 6) // 3
    picture = round(cell * 90 / 160)
    row, rest = divmod(pixels.shape[0] - 6, 3)
    assert rest == 0 and picture + 12 < row < picture + 36, "a line for the time below each"
    for number in range(7):
        y, x = number // 3 * row + 16, number % 3 * (cell + 6) + cell // 2
        assert np.abs(pixels[y, x] - (200, 20 * number, 60)).max() < 12
    assert pixels[2 * row + 16, cell + 40].max() < 60  # the last row's empty places are ground


def test_times_are_written(frames):
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(frames(1), columns=1, width=320))))
    picture = 6 + round(308 * 90 / 160)
    below = sheet[picture + 2 :, :90].astype(int)
    assert (below.min(axis=2) > 180).any()  # light ink on the ground below the frame
    assert np.abs(sheet[8 : picture - 2, 8:312].astype(int) - (200, 0, 60)).max() < 30  # and none on the frame


def test_any_shapes_together(frames):
    mixed = [*frames(2, (90, 160)), *frames(2, (1, 1)), *frames(2, (600, 20))]
    sheet = Image.open(io.BytesIO(contact_sheet(mixed, columns=4, width=400)))
    assert sheet.width == 400 and sheet.height <= 2 * (100 + 20) + 18


def test_deterministic_and_never_empty(frames):
    some = frames(4)
    assert contact_sheet(some) == contact_sheet(some)
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (7.46, "0:07.5"), (59.97, "1:00.0"), (3723.04, "1:02:03.0")]
)
def test_clock(seconds, text):
    assert clock_time(seconds) == text
