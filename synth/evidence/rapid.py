"""RapidOCR as the reader of text, with the models of its wheel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from hardcut.synth.evidence.tesseract import Told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Quad = NDArray[np.float32]


class RapidEngine:
    """RapidOCR with the models of its wheel: one thread, nothing written or fetched.

    Its sessions keep the memory of a call for the next one: otherwise a quarter of the detector's time goes into asking
    for it.
    """

    def __init__(self) -> None:
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
                "Det.limit_side_len": 4096,
                "Det.use_dilation": False,
                "Rec.rec_img_shape": [3, 48, 64],
            }
        )

    def detect(self, picture: Image) -> Sequence[Quad]:
        import numpy as np

        found = self._rapid(picture, use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(box, dtype=np.float32) for box in found.boxes]

    def recognise(self, line: Image) -> Told:
        found = self._rapid(line, use_det=False, use_cls=False, use_rec=True)
        return Told(found.txts[0], float(found.scores[0])) if found.txts else Told("", 0.0)


@cache
def rapid_engine() -> RapidEngine:
    """One a process."""
    return RapidEngine()
