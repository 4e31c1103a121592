"""One of two processes of `test_in_several_processes_gradients_are_the_same_packed`: a step over a group, packed and in
rows of its own; writes down the losses and how far the averaged gradients lie apart."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import torch
from torch.distributed import barrier, destroy_process_group, init_process_group
from torch.nn.parallel import DistributedDataParallel

from hardcut.reranker.clips import Clips
from hardcut.reranker.model import make_trainable, open_reranker
from hardcut.reranker.trainers import GroupCollator
from hardcut.reranker.training_data import read_ranking
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import LoraSettings, TrainSettings


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    torch.set_num_threads(1)
    init_process_group("gloo")
    rank, store, out = int(os.environ["RANK"]), Path(sys.argv[2]), Path(sys.argv[3])
    conftest = _beside("conftest")
    world = conftest.make_world(Clips(store.parent / "videos", store, MediaSettings()))
    groups = read_ranking(conftest.with_blocks(world), "raw", blocks=2).examples[rank : rank + 1]
    settings = TrainSettings(lora=LoraSettings(rank=2, dropout=0.0))
    torch.manual_seed(0)
    reranker = open_reranker(sys.argv[1], None, settings)
    make_trainable(reranker, settings, "ranking")
    for name, value in reranker.network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    reranker.network.gradient_checkpointing_enable({"use_reentrant": False})
    reranker.network.train()
    batches = [GroupCollator(reranker.processor, world.clips, 4, packed)(groups) for packed in (True, False)]
    _, alone = conftest.step_of(reranker, reranker.network, batches[0])
    together = DistributedDataParallel(reranker.network, find_unused_parameters=False)
    (packed, ours), (separate, theirs) = (conftest.step_of(reranker, together, batch) for batch in batches)
    mine, flat, only = (torch.cat([of[name].flatten() for name in theirs]) for of in (ours, theirs, alone))
    told = {
        "questions": len(groups[0].questions),
        "loss_packed": packed,
        "loss_separate": separate,
        "apart": float((mine - flat).norm() / flat.norm()),
        "length": float(flat.norm()),
        "length_alone": float(only.norm()),
    }
    (out / f"packed-{rank}.json").write_text(json.dumps(told))
    barrier()
    destroy_process_group()
