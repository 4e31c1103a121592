"""PaddleOCR as the reader of text, with models out of folders that the user names: nothing is ever fetched."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from hardcut.engine.file_digests import FileDigests
from hardcut.schemas.dependencies import installed, needs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import EvidenceSettings
from hardcut.synth.evidence.tesseract import Told
from hardcut.teacher.model_digest import model_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Quads = list[NDArray[np.float32]]

CONFIG = "inference.yml"
"""In the folder of every model of PaddleOCR 3: names it and says how its pictures are prepared."""

_MODEL_NAME = re.compile(r"^\s+model_name:\s*[\"']?([\w.-]+)", re.MULTILINE)


def paddle_settings(options: EvidenceSettings, digests: FileDigests | None = None) -> JsonValue:
    """Versions, and models by the content of their folders, for the stage's key. Raises MissingDependency, and
    UsageError where a folder is no model."""
    without = 'evidence.ocr = "rapidocr"'
    versions = {package: installed(package, "paddle", without) for package in ("paddleocr", "paddlepaddle")}
    folders = _folders(options)
    return {**versions, "models": [model_folder(folder, digests).digest for folder in folders]}


class PaddleEngine:
    """Finds lines and reads them, as `RapidEngine` does."""

    def __init__(self, det: Path, rec: Path) -> None:
        with needs("paddleocr", "paddle"):
            from paddleocr import TextDetection, TextRecognition
        common = {"device": "cpu", "cpu_threads": 1}
        try:
            self._det = TextDetection(
                model_name=_model_name(det), model_dir=str(det), limit_type="max", limit_side_len=4096, **common
            )
            self._rec = TextRecognition(model_name=_model_name(rec), model_dir=str(rec), **common)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"PaddleOCR cannot load the models in {det} and {rec}: {error}") from error

    def detect(self, picture: Image) -> Quads:
        """Four corners in pixels of every line in a picture (height x width x 3, blue first)."""
        import numpy as np

        [found] = self._det.predict(picture, batch_size=1)
        return [np.asarray(quad, dtype=np.float32).reshape(-1, 2) for quad in found["dt_polys"]]

    def recognise(self, line: Image) -> Told:
        """Text and confidence of the picture of one line; empty where there is nothing to read."""
        [found] = self._rec.predict(line, batch_size=1)
        return Told(str(found["rec_text"]), float(found["rec_score"]))


@cache
def paddle_engine(det: str, rec: str) -> PaddleEngine:
    """One a process."""
    return PaddleEngine(Path(det), Path(rec))


def _folders(options: EvidenceSettings) -> tuple[Path, Path]:
    return _folder("paddle_det", options.paddle_det), _folder("paddle_rec", options.paddle_rec)


def _folder(key: str, given: str | None) -> Path:
    if not given:
        raise UsageError(f'evidence.ocr = "paddle" needs evidence.{key}: the folder of a PaddleOCR 3 inference model')
    folder = Path(given)
    if not (folder / CONFIG).is_file():
        raise UsageError(f"evidence.{key}: {given} is no folder of a PaddleOCR 3 inference model (it has no {CONFIG})")
    _model_name(folder)
    return folder


def _model_name(folder: Path) -> str:
    """What the model calls itself: PaddleOCR takes its default model for another name, and refuses the folder."""
    match = _MODEL_NAME.search((folder / CONFIG).read_text("utf-8"))
    if match is None:
        raise UsageError(f"{folder / CONFIG} names no model (Global: model_name)")
    return match[1]
