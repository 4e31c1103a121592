"""Trains whole embedders for three steps and writes each with its vectors of probes, for test_vllm.py: vLLM has an
environment of its own, without what trains."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch

from hardcut.embedder.encoders import LocalEncoder, Shown
from hardcut.embedder.learning import EmbedderJob, train_embedder
from hardcut.embedder.network import open_embedder
from hardcut.reranker.tiny import build
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import EmbeddingSettings, LoraSettings, TrainSettings
from hardcut.teacher.local.pair_prompt import read_clip
from tests.reranker.conftest import CORPUS, Clips, make_world, with_blocks

WAYS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "lora": {"method": "lora", "lora": LoraSettings(rank=4, dropout=0.0)},
    "qlora": {"method": "qlora", "lora": LoraSettings(rank=4, dropout=0.0)},
    "videos": {"method": "full", "see": True},
}
"""All weights and merged adapters, of texts alone; and with videos shown, the vision tower too."""


def main(folder: Path, ways: list[str]) -> None:
    torch.set_num_threads(1)
    stored = [(Path(path), time) for path, time in json.loads((folder / "frames.json").read_text())]
    items = [Shown("a red square moves left"), Shown(None, read_clip(stored)), Shown("in reverse", read_clip(stored))]
    world = with_blocks(make_world(Clips(folder / "videos", folder / "frames", MediaSettings())))
    build(folder / "tiny", CORPUS)
    for name in ways:
        how = dict(WAYS[name])
        embedding = EmbeddingSettings(
            data=("groups",), see=how.pop("see", False), frames=4, batch=8, epochs=3.0, learning_rate=1e-3
        )
        settings = TrainSettings(warmup=0.0, embedding=embedding, **how)
        job = EmbedderJob(str(folder / "tiny"), folder / name, world.clips, settings, whole=True)
        assert train_embedder(world, job).steps >= 3
        encoder = LocalEncoder(open_embedder(str(folder / name)), 1)
        np.save(folder / f"{name}.npy", np.concatenate([encoder.encode([item], "query") for item in items]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
