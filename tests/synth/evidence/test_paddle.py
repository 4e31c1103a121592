"""PaddleOCR with the models of the user's folders. No models can be had in the tests: a stand-in for its package holds
that it is called as its documentation asks (PaddleOCR 3, modules TextDetection and TextRecognition)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence import paddle
from hardcut.synth.evidence.lines import read_lines
from hardcut.synth.evidence.paddle import PaddleEngine, paddle_settings


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two model folders as far as they can be told from outside."""
    for kind in ("det", "rec"):
        (tmp_path / kind).mkdir()
        text = f"mode: paddle\nGlobal:\n  model_name: PP-OCRv5_mobile_{kind}\nPreProcess: {{}}\n"
        (tmp_path / kind / "inference.yml").write_text(text)
    return tmp_path / "det", tmp_path / "rec"


class Module:
    made: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def __init__(self, **given: Any) -> None:
        self.made.append((type(self).__name__, given))


class TextDetection(Module):
    def predict(self, picture: Any, batch_size: int) -> list[dict[str, Any]]:
        assert picture.dtype == np.uint8 and picture.ndim == 3
        quad = np.array([[[40, 20], [200, 20], [200, 60], [40, 60]]], dtype=np.int16)
        return [{"dt_polys": quad, "dt_scores": [0.9]}]


class TextRecognition(Module):
    def predict(self, line: Any, batch_size: int) -> list[dict[str, Any]]:
        assert all(0.7 < side / whole < 1.3 for side, whole in zip(line.shape, (40, 160), strict=False)), line.shape
        return [{"rec_text": "ВОКЗАЛ", "rec_score": 0.97}]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("paddleocr")
    module.TextDetection, module.TextRecognition = TextDetection, TextRecognition  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "paddleocr", module)
    monkeypatch.setattr(Module, "made", [])
    paddle.paddle_engine.cache_clear()


def test_models_come_out_of_the_folders(folders: tuple[Path, Path], package: None, store_frames) -> None:
    det, rec = folders
    settings = EvidenceSettings(ocr="paddle", paddle_det=str(det), paddle_rec=str(rec))
    picture = Image.new("RGB", (400, 200), (90, 90, 90))
    ImageDraw.Draw(picture).rectangle((60, 30, 180, 50), fill=(240, 240, 240))  # a line that can be seen
    [line], *_ = read_lines(store_frames([picture] * 4, 2), 2.0, settings)
    assert (line.text, line.start, line.end, line.confidence) == ("ВОКЗАЛ", 0.0, 1.75, 0.97)
    assert line.box == pytest.approx((0.1, 0.1, 0.5, 0.3))
    made = dict(Module.made)
    assert made["TextDetection"]["model_dir"] == str(det)
    assert made["TextDetection"]["model_name"] == "PP-OCRv5_mobile_det"
    assert made["TextRecognition"]["model_dir"] == str(rec)
    assert made["TextRecognition"]["model_name"] == "PP-OCRv5_mobile_rec"
    assert len(Module.made) == 2  # no third model that would have to be fetched, and each is loaded once


@pytest.mark.parametrize("missing", ["det", "rec"])
def test_a_folder_that_is_no_model_is_one_clear_line(
    folders: tuple[Path, Path], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paddle, "installed", lambda package, extra, otherwise="": "3.0")
    det, rec = folders
    given = {"paddle_det": str(det), "paddle_rec": str(rec)}
    assert paddle_settings(EvidenceSettings.model_validate({"ocr": "paddle", **given}))
    for wrong in (None, "/nowhere/at/all"):
        settings = EvidenceSettings.model_validate({"ocr": "paddle", **given, f"paddle_{missing}": wrong})
        with pytest.raises(UsageError, match=rf"evidence\.paddle_{missing}") as error:
            paddle_settings(settings)
        assert "\n" not in str(error.value)
    (det / "inference.yml").write_text("Global: {}\n")
    with pytest.raises(UsageError, match="names no model"):
        paddle_settings(EvidenceSettings.model_validate({"ocr": "paddle", **given}))


def test_what_paddle_says_of_a_broken_folder_is_told(
    folders: tuple[Path, Path], package: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, **given: Any) -> None:
        raise ValueError(f"No Paddle model files were found in {given['model_dir']!r}.")

    monkeypatch.setattr(TextDetection, "__init__", refuse)
    with pytest.raises(UsageError, match=r"cannot load the models .* No Paddle model files"):
        PaddleEngine(*folders)


def test_without_paddleocr_it_says_how_to_get_it(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paddleocr", None)
    with pytest.raises(MissingDependency, match=r"hardcut\[paddle\]"):
        PaddleEngine(*folders)


def test_the_real_package_takes_these_arguments(folders: tuple[Path, Path]) -> None:
    """Where PaddleOCR is installed: it looks for the model in the folder, and nowhere else."""
    pytest.importorskip("paddleocr", reason='needs pip install "hardcut[paddle]"')
    with pytest.raises(UsageError, match="cannot load the models"):
        PaddleEngine(*folders)
