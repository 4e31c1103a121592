"""Sound at 16 kHz on the clock of the pictures."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hardcut.media.audio import RATE, audio_blocks
from hardcut.schemas.errors import ItemError


def whole_sound(path):
    return np.concatenate(list(audio_blocks(path)))


def pitch(samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_pitch_length_and_type(render, name):
    samples = whole_sound(render(name, count=50, tone=440.0).path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert len(samples) / RATE == pytest.approx(2.0, abs=0.15)
    assert pitch(samples[RATE // 2 : RATE * 3 // 2]) == pytest.approx(440, abs=2)
    assert 0.4 < np.abs(samples).max() < 0.6


def test_sound_that_starts_late_stays_at_its_time(render):
    samples = whole_sound(render("late.mkv", count=100, tone=440.0, tone_from=1.5).path)
    heard = np.flatnonzero(np.abs(samples) > 0.1)
    assert heard[0] / RATE == pytest.approx(1.5, abs=0.05)
    assert len(samples) / RATE == pytest.approx(4.0, abs=0.1)


def test_blocks_are_the_whole_in_pieces(render):
    clip = render("a.mp4", count=60, tone=300.0)
    blocks = list(audio_blocks(clip.path, seconds=0.5))
    assert {len(block) for block in blocks[:-1]} == {RATE // 2} and len(blocks[-1]) <= RATE // 2
    assert np.array_equal(np.concatenate(blocks), whole_sound(clip.path))


def test_damaged_sound_keeps_its_length(render):
    clip = render("a.mkv", count=100, tone=440.0)
    data = bytearray(clip.path.read_bytes())
    rng = random.Random(1)
    for _ in range(60):
        data[rng.randrange(len(data) // 3, len(data) * 2 // 3)] = rng.randrange(256)
    clip.path.write_bytes(data)
    assert len(whole_sound(clip.path)) / RATE == pytest.approx(4.0, abs=0.6)


def test_no_sound(render):
    with pytest.raises(ItemError) as caught:
        whole_sound(render(count=2).path)
    assert caught.value.reason == "no_audio"


def test_real_files(shared_videos):
    nasa = next(path for path in shared_videos if path.name == "nasa_13013.mp4")
    samples = whole_sound(nasa)
    assert len(samples) / RATE == pytest.approx(13.056, abs=0.05)
    assert np.abs(samples).max() > 0.5
