"""A step of training is the same however it is split over micro-batches and processes."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch


@pytest.fixture
def in_this_process(tiny: str, blocks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs `split_step.py` here; gives the folder that it wrote to."""
    spec = importlib.util.spec_from_file_location("split_step", Path(__file__).with_name("split_step.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(stage: str, batch: int, accumulate: int) -> Path:
        out = tmp_path / f"{batch}x{accumulate}" / stage
        out.mkdir(parents=True)
        with monkeypatch.context() as patched:  # what it changes is put back
            module.step(blocks, tiny, out, stage, batch, accumulate, patched.setattr)
        return out

    return run


def _apart(one: Path, other: Path) -> tuple[float, float]:
    """How far gradients lie apart, relative to their length; and the loss with its terms, the largest difference."""
    import torch

    ours, theirs = (torch.load(each / "gradients.pt") for each in (one, other))
    assert list(ours) == list(theirs) and len(ours) > 10
    ours, theirs = (torch.cat([each[name].flatten().double() for name in sorted(each)]) for each in (ours, theirs))
    logs = [json.loads((each / "log.json").read_text()) for each in (one, other)]
    told = [{k: v for entry in log for k, v in entry.items() if "loss" in k and k != "train_loss"} for log in logs]
    assert set(told[0]) == set(told[1])
    return float((ours - theirs).norm() / ours.norm()), max(abs(told[0][k] / told[1][k] - 1) for k in told[0])


@pytest.mark.timeout(900)
def test_gradients_and_losses_do_not_depend_on_the_split(
    in_this_process: Any, in_two_processes: Any, tmp_path: Path
) -> None:
    in_two_processes("split_step.py")
    for stage in ("ranking", "perception"):
        whole = in_this_process(stage, 8, 1)
        for split, folder in {"1 x 8": in_this_process(stage, 1, 8), "two processes, 2 x 2": tmp_path / stage}.items():
            gradients, losses = _apart(whole, folder)
            print(f"\n{stage}, {split}: gradients {gradients:.1e} apart, losses {losses:.1e}")
            assert gradients < 1e-5 and losses < 1e-5, (stage, split)
