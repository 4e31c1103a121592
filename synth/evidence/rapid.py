"""RapidOCR as the reader of text, with the models of its wheel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from hardcut.synth.evidence.tesseract import Told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Image = NDArray[np.uint8]
    Quad = NDArray[np.float32]

_NET_SIDE = 32
"""The sides of what the detector is given are multiples of so many pixels."""
_LARGEST = 4096
"""Longest side in pixels of what the detector is given."""


class RapidEngine:
    """RapidOCR with the models of its wheel: one thread, nothing written or fetched.

    Pictures are prepared for its detector by `prepared`: RapidOCR does so by numbers of 64 bits and looks its settings
    up anew for each, which is a tenth of the detector's time.

    Its sessions keep the memory of a call for the next one: otherwise a quarter of the detector's time goes into asking
    for it.
    """

    def __init__(self) -> None:
        import numpy as np

        with _lists_read_once():
            from rapidocr import RapidOCR

        self._rapid: Any = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "Global.use_preprocess_img": False,
                "Global.text_score": 0.0,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
                "Det.limit_type": "max",
                "Det.limit_side_len": _LARGEST,
                "Det.use_dilation": False,
                "Rec.rec_img_shape": [3, 48, 64],
            }
        )
        blank = np.zeros((_NET_SIDE, _NET_SIDE, 3), dtype=np.uint8)
        self._rapid(blank, use_det=True, use_cls=False, use_rec=False)  # which loads the detector
        detector: Any = self._rapid.text_det
        detector.get_preprocess = lambda: prepared

    def detect(self, picture: Image) -> Sequence[Quad]:
        import numpy as np

        found = self._rapid(picture, use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(box, dtype=np.float32) for box in found.boxes]

    def recognise(self, line: Image) -> Told:
        found = self._rapid(line, use_det=False, use_cls=False, use_rec=True)
        return Told(found.txts[0], float(found.scores[0])) if found.txts else Told("", 0.0)


@contextmanager
def _lists_read_once() -> Iterator[None]:
    """RapidOCR reads its list of models as it is imported, twice, which takes a tenth of a second each time."""
    from omegaconf import OmegaConf

    read = OmegaConf.load
    OmegaConf.load = cache(read)  # type: ignore[method-assign]
    try:
        yield
    finally:
        OmegaConf.load = read  # type: ignore[method-assign]


def prepared(picture: Image) -> Floats | None:
    """What the detector is given of a picture: 1 x 3 x height x width, -1..1; None of one that is too small for it."""
    import cv2
    import numpy as np

    scale = min(1.0, _LARGEST / max(picture.shape[:2]))
    height, width = (round(int(side * scale) / _NET_SIDE) * _NET_SIDE for side in picture.shape[:2])
    if not height or not width:
        return None
    planes = cv2.split(cv2.LUT(cv2.resize(picture, (width, height)), _levels()))
    return np.asarray(np.stack(planes)[None], dtype=np.float32)


@cache
def _levels() -> Floats:
    """The same for each of the 256 levels of a channel."""
    import numpy as np

    scaled = np.arange(256, dtype=np.float32) * (1 / 255)
    return ((scaled - np.float64(0.5)) / 0.5).astype(np.float32)


@cache
def rapid_engine() -> RapidEngine:
    """One a process."""
    return RapidEngine()
