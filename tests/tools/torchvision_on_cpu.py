"""Lets PyPI's torchvision, built for CUDA, import beside a torch for CPUs, where its compiled operators cannot load.

Declaring the schemas of two operators first is enough for the image processors of transformers. `make test-vllm` puts
this into the environment with a .pth file that imports it; nothing is loaded before somebody imports torchvision.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any


class _Hook:
    """Asked for every module; declares the operators when torchvision is first looked for, and is then gone."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name != "torchvision":
            return
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        with contextlib.suppress(ImportError):
            import torch

            if torch.version.cuda is None:
                library = torch.library.Library("torchvision", "FRAGMENT")
                for operator in ("nms", "qnms"):
                    with contextlib.suppress(RuntimeError):
                        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
                sys.torchvision_operators = library  # type: ignore[attr-defined]  # held, or they are gone again


sys.meta_path.insert(0, _Hook())  # type: ignore[arg-type]
