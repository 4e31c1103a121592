"""Cuts are found and nothing moves, however long a video is. An hour is measured by `benchmarks/bursts.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bursts import look, render

pytest.importorskip("scenedetect", reason='needs pip install "hardcut[vision]"')


@pytest.mark.parametrize("minutes", [1, 4, 12])
def test_a_hard_cut_every_three_seconds(minutes: float, tmp_path: Path) -> None:
    render(tmp_path / "cuts.mp4", minutes)
    result = look(tmp_path / "cuts.mp4", minutes, tmp_path / "store")
    assert result.found >= 0.98 * result.cuts
    assert result.wrong == 0
    assert result.movements == []
    assert result.looked_s == pytest.approx(min(60 * minutes, 96), rel=0.3), "bursts lie between cuts"
