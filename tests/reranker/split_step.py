"""One of the processes of `test_splits.py`: trains one step of each stage over the world's groups and captions, ragged
and with missing values, and writes down its gradients, and the losses with their terms.

    split_step.py MODEL STORE OUT
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import TrainerCallback

from hardcut.reranker import training
from hardcut.reranker.clips import Clips
from hardcut.reranker.examples import PerceptionData, RankingData
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import LoraSettings, LossSettings, PerceptionSettings, RankingSettings, TrainSettings


def beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def ragged(given: Any) -> Any:
    """Groups of one and two negatives, some without the teacher's values and reasons, half of them with blocks;
    captions of unequal length, and three that are held out."""
    if isinstance(given, PerceptionData):
        longer = [replace(each, caption=each.caption * (1 + at % 4)) for at, each in enumerate(given.examples)]
        return replace(given, examples=tuple(longer), validation=tuple(longer[:3]))
    assert isinstance(given, RankingData)
    groups = []
    for at, group in enumerate(given.examples):
        negatives = [replace(each, soft=None) if (at + n) % 3 else each for n, each in enumerate(group.negatives)]
        reasons = ["no " * (1 + n + at) if at % 3 else None for n in range(len(negatives))]
        negatives = [replace(each, reasoning=why) for each, why in zip(negatives, reasons, strict=True)]
        positive = replace(group.positive, soft=None) if at % 4 == 1 else group.positive
        positive = replace(positive, reasoning="a red square moves left" if at % 2 else None)
        groups.append(replace(group, positive=positive, negatives=tuple(negatives[: 1 + at % 2])))
    return replace(given, examples=tuple(groups), validation=replace(given.validation, qrels={}, blocks=()))


class Gradients(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Keeps what the optimiser is given, which the processes share by then."""

    def __init__(self) -> None:
        self.found: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, **__: Any) -> None:
        for name, value in model.named_parameters():
            if value.grad is not None:
                self.found[name.removeprefix("module.")] = value.grad.clone()


def step(made: Any, model: str, out: Path, stage: Any, batch: int, accumulate: int, change: Any = setattr) -> None:
    """Trains the step, `batch` examples a micro-batch and `accumulate` of them. `change` sets a name of a module."""
    settings = TrainSettings(
        lora=LoraSettings(rank=2, dropout=0.0),
        dtype="float32",
        max_grad_norm=1e9,  # nothing is cut
        perception=PerceptionSettings(frames=2, batch=batch, accumulate=accumulate, epochs=1),
        ranking=RankingSettings(
            frames=2, groups=batch, accumulate=accumulate, epochs=1, loss=LossSettings(rationale=1.0)
        ),
    )
    gradients, open_trainer, make_trainable = Gradients(), training._trainer, training.make_trainable

    def drawn(reranker: Any, *given: Any) -> None:
        make_trainable(reranker, *given)
        reranker.network.double()  # what rounding leaves is less than what is asked for
        torch.manual_seed(1)
        for name, value in reranker.network.named_parameters():
            if "lora_B" in name:  # of zeros, by default: then half of the gradients are zeros too
                torch.nn.init.normal_(value, std=0.1)

    def watched(*given: Any) -> Any:
        trainer = open_trainer(*given)
        trainer.add_callback(gradients)
        return trainer

    def changed(read: Any) -> Any:
        return lambda *given, **named: ragged(read(*given, **named))

    change(training, "make_trainable", drawn)
    change(training, "_trainer", watched)
    change(training, "read_ranking", changed(training.read_ranking))
    change(training, "read_perception", changed(training.read_perception))
    found = training.train(made, training.TrainJob(stage, model, out / "model", made.clips, settings))
    assert found.steps == 1 and found.examples == 8
    if os.environ.get("RANK", "0") == "0":
        torch.save(gradients.found, out / "gradients.pt")
        (out / "log.json").write_text(json.dumps(found.log))


if __name__ == "__main__":
    torch.set_num_threads(1)
    world, store, given = beside("conftest"), Path(sys.argv[2]), vars(training).copy()
    made = world.with_blocks(world.make_world(Clips(store.parent / "videos", store, MediaSettings())))
    for stage in ("ranking", "perception"):
        vars(training).update(given)
        step(made, sys.argv[1], Path(sys.argv[3]) / stage, stage, 2, 2)
