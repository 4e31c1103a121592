"""The estimate of `--dry-run` against what torch counts in a real step of a model that is small enough for a CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import LoraSettings, RankingSettings, TrainSettings

pytestmark = pytest.mark.torch
TEXT = {
    "vocab_size": 1024, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 8192,
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 1e4, "mrope_interleaved": True, "mrope_section": [12, 10, 10],
    },
}  # fmt: skip
VISION = {
    "depth": 3, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4, "out_hidden_size": 256,
    "num_position_embeddings": 256, "deepstack_visual_indexes": [0],
}  # fmt: skip
MEDIA = MediaSettings(max_pixels=160 * 288)
ROWS, COLUMNS, FRAMES = 5, 9, 8


@pytest.fixture(scope="module")
def size(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    """A folder with a configuration, and a processor."""
    from hardcut.reranker.tiny import make_config, make_processor
    from hardcut.teacher.local.pair_prompt import add_pair_template

    folder = tmp_path_factory.mktemp("size")
    processor = make_processor(["Does the video answer the query?"] * 20, 600, ROWS * COLUMNS * 32 * 32)
    add_pair_template(processor)
    make_config(processor.tokenizer, TEXT, VISION).save_pretrained(folder)
    return str(folder), processor


@pytest.mark.parametrize("blocks", [0, 3])
@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_operations_and_what_is_kept_are_those_of_a_real_step(
    method: Any, checkpointing: bool, blocks: int, size: tuple[str, Any]
) -> None:
    import torch
    from peft import get_peft_model
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForImageTextToText

    from hardcut.reranker import estimate
    from hardcut.reranker.model import lora
    from hardcut.reranker.packing import packed_inputs, unpacked
    from hardcut.teacher.local.pair_prompt import DecodedClip, pair_inputs

    folder, processor = size
    settings = TrainSettings(
        method=method,
        gradient_checkpointing=checkpointing,
        lora=LoraSettings(rank=4),
        ranking=RankingSettings(frames=FRAMES, accumulate=1, counterfactuals=blocks),
    )
    told = estimate.estimate(folder, "ranking", settings, MEDIA, negatives=2)
    dtype = torch.bfloat16 if method == "lora" else torch.float32
    config = estimate.model_config(folder)
    config._attn_implementation = "eager"  # whose products of matrices are counted
    network: Any = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    if method == "lora":
        network = get_peft_model(network, lora(settings.lora))
    if checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})
    network.train()
    assert (told.parameters, told.trainable) == (
        sum(p.numel() for n, p in network.named_parameters() if "lora_" not in n),
        sum(p.numel() for p in network.parameters() if p.requires_grad),
    )
    draw = np.random.default_rng(0)
    clip = DecodedClip(
        draw.integers(0, 255, (FRAMES, 32 * ROWS, 32 * COLUMNS, 3), dtype=np.uint8), tuple(range(FRAMES))
    )
    query, last = "a red ball", torch.tensor([-1])
    inputs = dict(pair_inputs(processor, [(query, clip)] * 3))
    if blocks:
        more = [f"{number} red balls" for number in range(2 * blocks)]
        packed = packed_inputs(processor, [(clip, [query, *more]), (clip, [query]), (clip, [query])])
        inputs, last = unpacked(network, packed), packed["ends"][:, 1].unique()
    tokens = inputs["input_ids"].shape[1]
    assert told.tokens_a_pair == FRAMES // 2 * (ROWS * COLUMNS + 10) + 110
    assert int((inputs["input_ids"] == processor.video_token_id).sum()) == 3 * FRAMES // 2 * ROWS * COLUMNS
    shape = estimate._shape(config, "ranking", settings, MEDIA, 2)
    assert (shape.videos, shape.more, shape.asked) == (3, 2 * blocks, len(last))
    shape = replace(shape, tokens=tokens)  # the small tokenizer needs other tokens for the words
    kept: dict[int, int] = {}
    held = []
    weights = {value.untyped_storage().data_ptr() for value in network.parameters()}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)  # so that its place is not given to another
        return tensor

    cast = torch.autocast("cpu", torch.bfloat16, enabled=method == "lora")
    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), cast:
            scores = network(**inputs, logits_to_keep=last).logits.float().sum()
        scores.backward()
    expected = estimate._flops(network, config, settings, shape)
    # Without adapters a checkpointed layer is not gone through to its end: its last product is not needed again.
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.1 if method == "full" else 0.05)
    if method == "lora" and not checkpointing:
        scores_of_attention = TEXT["num_hidden_layers"] * 3 * 4 * tokens * tokens * (4 + 2)  # eager keeps them
        found = sum(kept.values()) - scores_of_attention
        assert found == pytest.approx(estimate._activations(config, settings, shape), rel=0.25)


def test_counterfactuals_cost_their_text_and_no_video(size: tuple[str, Any]) -> None:
    from hardcut.reranker.estimate import estimate

    def told(blocks: int) -> Any:
        ranking = RankingSettings(frames=FRAMES, groups=2, accumulate=4, counterfactuals=blocks)
        return estimate(size[0], "ranking", TrainSettings(ranking=ranking), MEDIA, negatives=2)

    without, two = told(0), told(2)
    rows, queries = 2 * 3 * 4, 2 * 4 * 4  # groups, a video or a query of each, forward passes
    assert without.counterfactual_tokens == 0 and without.unpacked_tokens == without.tokens_a_step
    assert without.tokens_a_step == rows * without.tokens_a_pair
    assert two.counterfactual_tokens == queries * 40 and two.tokens_a_pair == without.tokens_a_pair
    assert two.tokens_a_step == rows * (two.tokens_a_pair + 4 * 40), "rows are as long as the longest"
    assert two.unpacked_tokens == (rows + queries) * two.tokens_a_pair
    assert without.flops_a_step < two.flops_a_step < two.unpacked_tokens / without.tokens_a_step * without.flops_a_step
    assert estimate(size[0], "perception", TrainSettings(), MEDIA, negatives=2).counterfactual_tokens == 0
