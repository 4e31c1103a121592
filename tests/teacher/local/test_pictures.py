"""Stored frames for a model in process: each is read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from hardcut.schemas.records import Sampling
from hardcut.teacher.local.generation import Prompt
from hardcut.teacher.local.pictures import read_pictures


def test_questions_on_one_video_share_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{n}.jpg" for n in range(3)]
    for n, path in enumerate(paths):
        Image.new("L" if n else "RGB", (8, 8), 80 * n).save(path)
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path: (opened.append(path), real(path))[1])
    shown = tuple((f"<{n}.0 s>", path) for n, path in enumerate(paths))
    prompts = [Prompt("", f"query {n}", shown[: 1 + n % 3], Sampling(), judge=True) for n in range(10)]
    pictures = read_pictures(prompts)
    assert opened == paths and {picture.mode for picture in pictures.values()} == {"RGB"}
    assert pictures[paths[2]].getpixel((0, 0)) == pytest.approx((160, 160, 160), abs=2)
    paths[1].unlink()
    with pytest.raises(OSError, match=r"1\.jpg"):
        read_pictures(prompts)
