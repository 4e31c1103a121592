"""QLoRA: weights of four bits, gradients that are those of the weights they stand for, and models as of any method.

Needs bitsandbytes, whose nf4 also runs on CPUs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardcut.reranker.training_data import read_ranking
from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import LoraSettings, PerceptionSettings, RankingSettings, TrainSettings

pytestmark = pytest.mark.torch
pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: `make test-train`")

SETTINGS = TrainSettings(
    method="qlora",
    save_steps=4,
    lora=LoraSettings(rank=4, dropout=0.0),
    perception=PerceptionSettings(frames=4, batch=4, accumulate=1, epochs=4, learning_rate=3e-2),
    ranking=RankingSettings(frames=4, groups=2, accumulate=1, epochs=1, learning_rate=3e-3),
)


def _gradients(reranker: Any, world: Any) -> dict[str, Any]:
    from hardcut.reranker.losses import Batch, ranking_loss
    from hardcut.reranker.trainers import GroupCollator

    batch = GroupCollator(reranker.processor, world.clips, 4)(read_ranking(world, "raw").examples[:2])
    scores = reranker.scores(reranker.network, batch["pairs"]).reshape(batch["present"].shape)
    total, _ = ranking_loss(scores, Batch(batch["present"], batch["soft"]), SETTINGS.ranking.loss)
    total.backward()
    return {name: value.grad for name, value in reranker.network.named_parameters() if value.requires_grad}


def test_gradients_are_those_of_the_weights_that_four_bits_stand_for(tiny: str, world: Any) -> None:
    """Also after an evaluation, which bitsandbytes would use to change the layout of the weights."""
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    from hardcut.reranker.model import make_trainable, open_reranker

    torch.manual_seed(0)
    four = open_reranker(tiny, None, SETTINGS)
    weights = {
        name: dequantize_4bit(module.weight.data, module.weight.quant_state).float()
        for name, module in four.network.named_modules()
        if isinstance(module, Linear4bit)
    }
    assert len(weights) > 14 and all(f"layers.{n}.mlp.down_proj" in " ".join(weights) for n in (0, 1))
    make_trainable(four, SETTINGS, "ranking")
    plain = open_reranker(tiny, None, SETTINGS.model_copy(update={"method": "lora"}))
    for name, weight in weights.items():
        plain.network.get_submodule(name).weight.data.copy_(weight)
    make_trainable(plain, SETTINGS, "ranking")
    adapter = {name: value for name, value in four.network.state_dict().items() if "lora_" in name}
    assert not plain.network.load_state_dict(adapter, strict=False).unexpected_keys
    four.network.eval()
    with torch.no_grad():
        for module in four.network.modules():
            if type(module) is Linear4bit:
                module(torch.zeros(1, 2, module.in_features))
    four.network.train()
    plain.network.train()
    ours, theirs = _gradients(four, world), _gradients(plain, world)
    assert set(ours) == set(theirs) and all("lora_" in name for name in ours)
    for name, gradient in theirs.items():
        if "lora_B" in name:  # the A's have none as long as the B's are 0
            assert float((ours[name] - gradient).norm() / gradient.norm()) < 0.05, name


def test_both_stages_train_and_are_saved_as_of_any_method(tiny: str, world: Any, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.torch import load_file
    from sentence_transformers import CrossEncoder

    from hardcut.reranker.training import TrainJob, train

    seen, ranks, whole = (tmp_path / name for name in ("seen", "ranks", "whole"))
    first = train(world, TrainJob("perception", tiny, seen, world.clips, SETTINGS))
    told = [entry["eval_loss"] for entry in first.log if "eval_loss" in entry]
    assert first.validation == min(told) < told[0] and first.metric == "loss"
    train(world, TrainJob("ranking", tiny, ranks, world.clips, SETTINGS, start=seen))
    train(world, TrainJob("ranking", tiny, whole, world.clips, SETTINGS, start=seen, whole=True))
    assert json.loads((ranks / "adapter_config.json").read_text())["r"] == 8
    files = load_file(str(whole / "model.safetensors"))
    assert not any("lora_" in name or "quant" in name for name in files)
    base = load_file(str(Path(tiny) / "model.safetensors"))
    unchanged = [name for name, value in base.items() if name in files and bool((files[name] == value).all())]
    assert any("visual" in name for name in unchanged), "what has no adapter is as it was, and not rounded to four bits"
    picture = np.random.default_rng(0).integers(0, 255, (4, 64, 96, 3), dtype=np.uint8)
    pair = [("a red square moves left", picture)]
    assert CrossEncoder(str(whole)).predict(pair) == pytest.approx(CrossEncoder(str(ranks)).predict(pair), abs=1e-4)
    merged = SETTINGS.model_copy(update={"ranking": SETTINGS.ranking.model_copy(update={"start": "merged"})})
    with pytest.raises(UsageError, match="use stacked with qlora"):
        train(world, TrainJob("ranking", tiny, tmp_path / "no", world.clips, merged, start=seen))
