"""One of two processes of `test_processes.py`: trains both stages of what `case.json` says, and dies where it says.

both_stages.py MODEL STORE OUT
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import TrainerCallback

from hardcut.reranker import training
from hardcut.reranker.clips import Clips
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import TrainSettings


def beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Killed(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """The power goes out after a step, in every process."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class FourBits(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """How many frozen weights of four bits there are, and how many of them are in parts."""

    def __init__(self, told: Path) -> None:
        self.told = told

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        packed = [value for value in model.parameters() if value.ndim == 2 and value.shape[1] == 1]
        in_parts = sum(hasattr(value, "full_tensor") for value in packed)
        self.told.write_text(json.dumps([len(packed), in_parts]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    world, store, out = beside("conftest"), Path(sys.argv[2]), Path(sys.argv[3])
    case = json.loads((out / "case.json").read_text())
    made = world.with_blocks(world.make_world(Clips(store.parent / "videos", store, MediaSettings())))
    open_trainer = training._trainer

    def watched(given: Any, job: Any, *more: Any) -> Any:
        trainer = open_trainer(given, job, *more)
        if case["dies"] == job.stage:
            trainer.add_callback(Killed(3))
        trainer.add_callback(FourBits(out / f"four-bits-{os.environ['RANK']}"))
        (out / f"sharded-{os.environ['RANK']}").write_text(str(trainer.is_fsdp_enabled))
        return trainer

    training._trainer = watched
    settings = TrainSettings.model_validate(case["settings"])
    first, second = out / case["name"] / "first", out / case["name"] / "second"
    for stage, folder in (("perception", first), ("ranking", second)):
        start = first if stage == "ranking" and settings.method != "full" else None
        training.train(
            made, training.TrainJob(stage, sys.argv[1], folder, made.clips, settings, start=start, whole=case["whole"])
        )
