"""Both frame readers under one contract: the same times and pictures, or a clear refusal. The table says which."""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.media.readers import open_samples
from hardcut.media.sampler import Sample, Samples
from hardcut.schemas.errors import ItemError, MissingDependency
from hardcut.schemas.settings import MediaSettings

READS, REFUSES = "reads", "refuses"
DISORDER = {"avoid_negative_ts": "disabled"}
MADE: dict[str, tuple[dict[str, Any], str]] = {
    # name: (how it is rendered, what decord does with it); PyAV reads all of them
    "h264.mp4": ({}, READS),
    "h264.mkv": ({}, READS),
    "h264.ts": ({}, REFUSES),
    "h264.flv": ({}, READS),
    "h264.avi": ({}, REFUSES),
    "hevc.mp4": ({"codec": "libx265"}, READS),
    "vp9.webm": ({"codec": "libvpx-vp9"}, READS),
    "av1.mkv": ({"codec": "libsvtav1", "options": {"preset": "8"}}, READS),
    "mpeg2.mpg": ({"codec": "mpeg2video"}, REFUSES),
    "mpeg4.avi": ({"codec": "mpeg4"}, REFUSES),
    "mpeg4.mp4": ({"codec": "mpeg4"}, READS),
    "variable.mp4": ({"times": [0.0, 0.04, 0.1, 0.6, 0.62, 1.5, 1.52, 3.0]}, READS),
    "240fps.mp4": ({"count": 120, "fps": 240}, READS),
    "slow.mp4": ({"times": [0.0, 10.0, 20.0], "fps": 0.1}, READS),
    "one.mp4": ({"count": 1}, READS),
    "turned-90.mp4": ({"count": 5, "display": (-90, False, False)}, READS),
    "turned-180.mp4": ({"count": 5, "display": (180, False, False)}, READS),
    "mirrored.mp4": ({"count": 5, "display": (0, True, False)}, REFUSES),
    "wide-pixels.mp4": ({"count": 5, "size": (180, 144), "aspect": Fraction(16, 15)}, READS),
    "odd-size.mkv": ({"count": 3, "size": (33, 47), "codec": "ffv1", "pix_fmt": "yuv444p"}, READS),
    "one-pixel.mkv": ({"count": 3, "size": (1, 1), "codec": "ffv1", "pix_fmt": "yuv444p"}, REFUSES),
    "two-streams.mkv": ({"count": 5, "size": (96, 64), "second_size": (192, 128)}, REFUSES),
    "late.mkv": ({"times": [0.5 + i / 25 for i in range(50)], "container_options": DISORDER}, READS),
    "negative.mkv": ({"times": [-1 + i / 25 for i in range(50)], "container_options": DISORDER}, REFUSES),
    "no-duration.mkv": ({"container_options": {"live": "1"}}, REFUSES),
    "with-sound.mp4": ({"tone": 440.0}, READS),
}
REAL = {"corrupted.mp4": REFUSES}
"""The real file that decord does not read."""


def outcome(path: Path, **settings: Any) -> tuple[list[Sample], Samples] | ItemError:
    samples = open_samples(path, MediaSettings(**settings))
    try:
        return list(samples), samples
    except ItemError as error:
        return error


@pytest.fixture
def check() -> Callable[[Path], str]:
    """What decord does with a file; where it reads it, pictures and times are those of PyAV."""
    pytest.importorskip("decord", reason='needs pip install "hardcut[decord]"')

    def compare(path: Path) -> str:
        done = READS
        for settings in ({"fps": 4}, {"fps": 60, "max_frames": 500}, {"max_frames": 3}, {"mode": "keyframes"}):
            ours = outcome(path, **settings)
            theirs = outcome(path, reader="decord", **settings)
            assert not isinstance(ours, ItemError)
            if isinstance(theirs, ItemError):
                assert theirs.reason == "reader" and "pyav" in theirs.detail, theirs
                done = REFUSES
                continue
            assert [s.time_s for s in theirs[0]] == [s.time_s for s in ours[0]]
            assert theirs[1].duration_s == ours[1].duration_s
            for mine, other in zip(ours[0], theirs[0], strict=True):
                assert mine.image.shape == other.image.shape
                apart = np.abs(mine.image.astype(int) - other.image)
                assert apart.mean() < 4 and np.percentile(apart, 95) < 20, (mine.time_s, apart.mean())
        return done

    return compare


@pytest.mark.parametrize("name", MADE)
def test_rendered_files(render, check, name):
    how, expected = MADE[name]
    assert check(render(name, **how).path) == expected


def test_real_files(shared_videos, check):
    for path in shared_videos:
        assert check(path) == REAL.get(path.name, READS), path.name


def test_decord_is_an_extra(render, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(MissingDependency, match=r"hardcut\[decord\]"):
        outcome(render(count=2).path, reader="decord")
