"""One step of an embedder's loss in two processes, for test_processes.py: gradients and losses go to the folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch.nn.parallel import DistributedDataParallel

from hardcut.embedder.network import open_embedder
from hardcut.embedder.objective import Objective
from hardcut.schemas.training import EmbeddingSettings

TEXTS = [
    ("a red square moves left", "red to the left", "a red square moves right"),
    ("a blue square moves left", "blue to the left", "a blue square moves right"),
    ("a green square moves right", "green to the right", "a green square moves left"),
    ("a white square moves right", "white to the right", "a white square moves left"),
]


def gradients(model: str, rows: list[tuple[str, ...]], *, spread: bool) -> tuple[float, dict[str, Any]]:
    """The loss of some triplets, and its gradients; `spread`: over the processes."""
    encoder = open_embedder(model, None, {"dtype": torch.float64}).train()
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad = "visual" not in name
    wrapped: Any = DistributedDataParallel(encoder) if spread else encoder
    objective = Objective(encoder, EmbeddingSettings(), margins=False)
    objective.model = wrapped
    columns = [encoder.preprocess([{"text": row[at]} for row in rows]) for at in range(3)]
    loss = objective(columns, None)["contrastive"]
    loss.backward()
    found = encoder.named_parameters()
    return float(loss.detach()), {name: value.grad.clone() for name, value in found if value.grad is not None}


if __name__ == "__main__":
    tiny, _, folder = sys.argv[1:]
    state = PartialState(cpu=True)
    rank = state.process_index
    loss, found = gradients(tiny, TEXTS[2 * rank : 2 * rank + 2], spread=True)
    torch.save(found, Path(folder) / f"{rank}.pt")
    (Path(folder) / f"{rank}.json").write_text(json.dumps(loss))
