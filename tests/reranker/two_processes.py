"""One of two processes of `test_two_processes_see_disjoint_groups`: trains, and writes down the groups that it saw."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hardcut.reranker import training
from hardcut.reranker.clips import Clips
from hardcut.reranker.trainers import GroupCollator
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import LoraSettings, RankingSettings, TrainSettings


class Noting(GroupCollator):
    def __call__(self, groups: Sequence[Any]) -> dict[str, Any]:
        with (Path(sys.argv[3]) / f"groups-{os.environ['RANK']}").open("a") as file:
            file.writelines(f"{group.group_id}\n" for group in groups)
        return super().__call__(groups)


def _world() -> Any:
    spec = importlib.util.spec_from_file_location("world", Path(__file__).with_name("conftest.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["world"] = module
    spec.loader.exec_module(module)
    store = Path(sys.argv[2])
    return module.with_blocks(module.make_world(Clips(store.parent / "videos", store, MediaSettings())))


if __name__ == "__main__":
    torch.set_num_threads(1)
    world = _world()
    training.GroupCollator = Noting  # type: ignore[misc]
    settings = TrainSettings(
        lora=LoraSettings(rank=2),
        ranking=RankingSettings(frames=4, groups=2, accumulate=1, epochs=1, learning_rate=1e-3),
    )
    training.train(world, training.TrainJob("ranking", sys.argv[1], Path(sys.argv[3]) / "out", world.clips, settings))
