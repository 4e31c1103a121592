"""Pictures are prepared for the detector just as RapidOCR prepares them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')

from hardcut.synth.evidence.rapid import prepared, rapid_engine


@pytest.mark.parametrize(("height", "width"), [(180, 320), (200, 113), (17, 16), (40, 15), (20, 5000)])
def test_the_detector_is_given_what_rapidocr_would_give_it(height: int, width: int) -> None:
    from rapidocr.ch_ppocr_det.utils import DetPreProcess

    theirs = DetPreProcess(4096, "max", [0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    picture = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    ours, expected = prepared(picture), theirs(picture)
    if expected is None:
        assert ours is None
    else:
        assert ours is not None and ours.dtype == expected.dtype and np.array_equal(ours, expected)


def test_the_detector_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """RapidOCR may come to prepare pictures in a place of another name."""
    import hardcut.synth.evidence.rapid as module

    engine, asked = rapid_engine(), []
    monkeypatch.setattr(module, "prepared", lambda picture: asked.append(picture.shape))
    assert engine.detect(np.zeros((64, 96, 3), dtype=np.uint8)) == []
    assert asked == [(64, 96, 3)]
