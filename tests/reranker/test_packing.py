"""Packed rows score and learn as rows of their own do: each method, with checkpointing and without, in processes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.reranker.training_data import read_ranking
from hardcut.schemas.training import LoraSettings, TrainSettings

pytestmark = pytest.mark.torch
SCORES, GRADIENTS = 1e-5, 1e-4
TEXT = {
    "vocab_size": 768, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 8192,
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "mrope_interleaved": True, "mrope_section": [6, 5, 5],
    },
}  # fmt: skip
VISION = {
    "depth": 3, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 64,
    "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 2],
}  # fmt: skip
FOUR_BITS = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed: `make test-train`"
)
METHODS = ["lora", "full", pytest.param("qlora", marks=FOUR_BITS)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small Qwen3-VL whose layers say much and take in features of two vision layers (DeepStack), with interleaved
    M-RoPE, and which normalizes frames of videos otherwise than pictures."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    from hardcut.reranker.tiny import make_config, make_processor

    torch.set_num_threads(1)
    processor = make_processor(["a red square moves left. yes no Does the video answer the query?"] * 20, 700, 6 * 1024)
    processor.image_processor.image_mean, processor.image_processor.image_std = [0.1, 0.2, 0.3], [0.9, 0.8, 0.7]
    processor.video_processor.image_mean, processor.video_processor.image_std = [0.6, 0.5, 0.4], [0.2, 0.3, 0.4]
    torch.manual_seed(0)
    network = Qwen3VLForConditionalGeneration(make_config(processor.tokenizer, TEXT, VISION))
    for value in network.parameters():
        if value.ndim > 1:
            torch.nn.init.normal_(value, std=0.1)
    folder = tmp_path_factory.mktemp("packing") / "model"
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def _reranker(model: str, method: Any, checkpointing: bool, attention: str = "sdpa") -> Any:
    """In float32 all through, and with an adapter that says something."""
    import torch

    from hardcut.reranker.model import make_trainable, open_reranker

    torch.manual_seed(1)
    settings = TrainSettings(method=method, dtype="float32", lora=LoraSettings(rank=4, dropout=0.0, vision=True))
    reranker = open_reranker(model, None, settings)
    reranker.network.set_attn_implementation(attention)
    make_trainable(reranker, settings, "ranking")
    for name, value in reranker.network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    for module in reranker.network.modules():
        if type(module).__name__ == "Linear4bit":
            module.compute_dtype = torch.float32
    if checkpointing:
        reranker.network.gradient_checkpointing_enable({"use_reentrant": False})
    reranker.network.train()
    return reranker


def _asked() -> list[tuple[Any, list[str]]]:
    """Clips of unequal sizes and lengths, asked three queries, one and two of them, of unequal lengths."""
    from hardcut.teacher.local.pair_prompt import DecodedClip

    draw = np.random.default_rng(0)
    asked = {
        (6, 64, 96): ["a red square", "a square moves to the left, and nothing else does", "no"],
        (4, 96, 64): ["a blue square moves"],
        (8, 64, 64): ["left", "a red square moves left, not right"],
    }
    return [
        (DecodedClip(draw.integers(0, 255, (*size, 3), dtype=np.uint8), tuple(n / 2 for n in range(size[0]))), queries)
        for size, queries in asked.items()
    ]


def _learned(reranker: Any, inputs: Any) -> tuple[Any, dict[str, Any]]:
    """The scores, and the gradients of a loss over them."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    reranker.network.zero_grad()
    scores = reranker.scores(reranker.network, inputs)
    binary_cross_entropy_with_logits(scores, torch.tensor([1.0, 0, 0, 0, 1, 0])).backward()
    trained = {name: value.grad for name, value in reranker.network.named_parameters() if value.grad is not None}
    return scores.detach(), {name: gradient.clone() for name, gradient in trained.items()}


def _apart(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """How far gradients lie apart, as a share of their length."""
    import torch

    assert set(ours) == set(theirs) and ours
    flat = [torch.cat([each[name].flatten() for name in theirs]) for each in (ours, theirs)]
    assert float(flat[1].norm()) > 0.01
    return float((flat[0] - flat[1]).norm() / flat[1].norm())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_scores_and_gradients_are_those_of_rows_of_their_own(
    method: str, checkpointing: bool, attention: str, model: str
) -> None:
    from hardcut.reranker.packing import packed_inputs
    from hardcut.teacher.local.pair_prompt import pair_inputs

    reranker, asked = _reranker(model, method, checkpointing, attention), _asked()
    separate = pair_inputs(reranker.processor, [(query, clip) for clip, queries in asked for query in queries])
    packed = packed_inputs(reranker.processor, asked)
    assert len(packed["input_ids"]) == len(packed["video_grid_thw"]) == 3 and len(separate["input_ids"]) == 6
    expected, theirs = _learned(reranker, separate)
    found, ours = _learned(reranker, packed)
    assert float(expected.diff().abs().min()) > 100 * SCORES, "the queries can be told apart"
    assert float((found - expected).abs().max()) < SCORES
    assert _apart(ours, theirs) < GRADIENTS
    if method != "full":
        assert any("visual" in name for name in ours), "through the vision tower too"


@pytest.mark.parametrize("what", ["attention", "positions"])
def test_either_half_of_keeping_queries_apart_shows(what: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests above would see if queries of a row saw each other, or began one place further on."""
    import torch

    from hardcut.reranker import model as model_module
    from hardcut.reranker.packing import packed_inputs, unpacked
    from hardcut.teacher.local.pair_prompt import pair_inputs

    def wrong(network: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        given = unpacked(network, inputs)
        if what == "attention":
            earlier = torch.ones_like(given["attention_mask"]).tril()
            given["attention_mask"] |= earlier & (inputs["whose"] > 0)[:, None, None]
        else:
            given["position_ids"] += (inputs["whose"] > 1).long()
        return given

    reranker, asked = _reranker(model, "lora", checkpointing=False), _asked()
    separate = pair_inputs(reranker.processor, [(query, clip) for clip, queries in asked for query in queries])
    expected, _ = _learned(reranker, separate)
    monkeypatch.setattr(model_module, "unpacked", wrong)
    found, _ = _learned(reranker, packed_inputs(reranker.processor, asked))
    assert float((found - expected).abs().max()) > 10 * SCORES


def test_a_step_over_groups_is_the_same_packed(tiny: str, blocks: Any, step: Any) -> None:
    """Only the positives of groups with blocks are asked more than one query; negatives stand beside them."""
    from hardcut.reranker.trainers import GroupCollator

    groups = read_ranking(blocks, "raw", blocks=2).examples[:3]
    assert [len(group.questions) for group in groups] == [4, 1, 4]
    reranker = _reranker(tiny, "lora", checkpointing=True)
    batches = [GroupCollator(reranker.processor, blocks.clips, 4, packed)(groups) for packed in (True, False)]
    assert [len(batch["pairs"]["input_ids"]) for batch in batches] == [9, 15]
    (ours, mine), (theirs, other) = (step(reranker, reranker.network, batch) for batch in batches)
    assert ours == pytest.approx(theirs, abs=SCORES)
    assert _apart(mine, other) < GRADIENTS
    alone = [GroupCollator(reranker.processor, blocks.clips, 4, packed)(groups[1:2]) for packed in (True, False)]
    assert step(reranker, reranker.network, alone[0])[0] == step(reranker, reranker.network, alone[1])[0]
    assert set(alone[0]["pairs"]) == set(alone[1]["pairs"]), "rows of one query go as they always did"


@pytest.mark.timeout(900)
def test_in_several_processes_gradients_are_the_same_packed(in_two_processes: Any, tmp_path: Path) -> None:
    """The one has a group with blocks, the other one without."""
    in_two_processes("packed_processes.py")
    told = [json.loads((tmp_path / f"packed-{rank}.json").read_text()) for rank in range(2)]
    assert [each["questions"] for each in told] == [4, 1]
    for each in told:
        assert each["loss_packed"] == pytest.approx(each["loss_separate"], abs=SCORES)
        assert each["apart"] < GRADIENTS and each["length"] > 0.01
    assert told[0]["length"] == pytest.approx(told[1]["length"], rel=1e-6), "they are averaged"
    assert told[0]["length"] != pytest.approx(told[0]["length_alone"], rel=1e-2)


@pytest.mark.parametrize(
    ("attention", "packs"), [("sdpa", True), ("eager", True), ("flash_attention_2", False), ("flex_attention", False)]
)
def test_an_attention_that_takes_no_mask_is_told_and_given_rows_of_one_query(
    attention: str, packs: bool, tiny: str, blocks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from hardcut.reranker.training import _packed

    reranker = _reranker(tiny, "lora", checkpointing=False)
    reranker.network.config.get_text_config()._attn_implementation = attention
    given = read_ranking(blocks, "raw", blocks=1)
    assert _packed(given, reranker) == packs
    assert (attention in capsys.readouterr().err) == (not packs)
    assert not _packed(read_ranking(blocks, "raw"), reranker)
    assert not capsys.readouterr().err, "nothing to pack, nothing to tell"


def test_a_model_whose_layers_read_on_is_given_rows_of_one_query(tiny: str) -> None:
    """A state that has read one query cannot be handed to the next."""
    from hardcut.reranker.packing import can_pack

    reranker = _reranker(tiny, "lora", checkpointing=False)
    assert can_pack(reranker.network, reranker.processor)
    reranker.network.config.get_text_config().layer_types = ["linear_attention", "full_attention"]
    assert not can_pack(reranker.network, reranker.processor)
