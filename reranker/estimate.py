"""What a training would take, from the model's configuration alone: nothing is loaded, fetched or put on a card.

Parameters are counted on torch's meta device, with the adapter that would be trained. Memory and time are estimates:
weights, what the optimiser keeps, activations; arithmetic of the passes over a card's peak at a usual share of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from transformers import AutoConfig, AutoModelForImageTextToText, Qwen3VLConfig

from hardcut.reranker.model import lora, trainable
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import TrainSettings

PEAK = 989e12
"""Multiplications and additions a second of one H100 in bfloat16, dense, as its maker gives it."""
UTILISATION = 0.35
"""The share of the peak that training usually reaches with sequences of a few thousand tokens."""
CARD = 80e9
_PROMPT = 110
"""Tokens of the prompt and a query beside the video."""
_TIME = 10
"""Tokens that say when a pair of frames is shown."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one process and card. `tokens` and `flops` are of a step (all its forward passes), bytes at the peak."""

    model: str
    stage: str
    parameters: int
    trainable: int
    tokens_a_pair: int
    tokens_a_step: int
    weights_bytes: int
    optimiser_bytes: int
    activation_bytes: int
    memory_bytes: int
    fits: bool
    flops_a_step: float
    seconds_a_step: float


def estimate(model: str, stage: str, settings: TrainSettings, media: MediaSettings, negatives: int) -> Estimate:
    """For a folder with a config.json, or a name in `sizes.json`. Raises UsageError where there is neither."""
    config = _config(model)
    with torch.device("meta"):
        network: Any = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
        if settings.method != "full":
            network = get_peft_model(network, lora(settings.lora))
        else:
            network.requires_grad_(True)
    trained, whole = trainable(network)
    text, vision = config.text_config, config.vision_config
    ranking = stage == "ranking"
    frames = settings.ranking.frames if ranking else settings.perception.frames
    patches = frames // vision.temporal_patch_size * _patches(media.max_pixels, vision)
    per_video = patches // vision.spatial_merge_size**2
    tokens = per_video + frames // vision.temporal_patch_size * _TIME + _PROMPT
    if not ranking:
        tokens += settings.perception.max_caption_tokens
    pairs = settings.ranking.groups * (1 + negatives) if ranking else settings.perception.batch
    passes = settings.ranking.accumulate if ranking else settings.perception.accumulate
    at_once = tokens * pairs
    seen = sum(value.numel() for name, value in network.named_parameters() if ".visual." in name)
    spoken = whole - seen - text.vocab_size * text.hidden_size  # embeddings are looked up, not multiplied
    # Forward 2, again with checkpointing 2, backward 2 to the inputs, and 2 more where weights have gradients.
    passes_over = 2 + 2 * settings.gradient_checkpointing + 2 + 2 * (settings.method == "full")
    attention = 2 * text.num_hidden_layers * tokens * text.num_attention_heads * text.head_dim
    vision_attention = 4 * vision.depth * _patches(media.max_pixels, vision) * vision.hidden_size
    flops = passes * (
        passes_over * (spoken * at_once + attention * at_once)
        + (passes_over if settings.lora.vision or settings.method == "full" else 2)
        * pairs * patches * (seen + vision_attention)
    )  # fmt: skip
    weights = _weights(settings, whole, trained)
    optimiser = trained * (4 + 4 + 4 + (2 if settings.method == "full" else 0))  # gradient and both moments
    activations = _activations(settings, text, at_once)
    activations += 2 * 12 * pairs * patches * vision.hidden_size
    memory = round(1.1 * (weights + optimiser + activations))  # a tenth for fragments and buffers
    return Estimate(
        model, stage, whole - (0 if settings.method == "full" else trained), trained, tokens, at_once * passes,
        weights, optimiser, activations, memory, memory <= CARD, float(flops), flops / (PEAK * UTILISATION),
    )  # fmt: skip


def _config(model: str) -> Any:
    if (Path(model) / "config.json").is_file():
        try:
            return AutoConfig.from_pretrained(model)
        except (OSError, ValueError) as error:
            raise UsageError(f"{model}: its config.json cannot be read: {error}") from error
    sizes = json.loads((resources.files("hardcut.reranker") / "sizes.json").read_text("utf-8"))
    if model not in sizes:
        known = ", ".join(sorted(sizes))
        raise UsageError(f"{model}: no folder with a config.json, and none of the sizes that are known ({known})")
    return Qwen3VLConfig(**sizes[model])


def _patches(pixels: int, vision: Any) -> int:
    """Patches of one stored frame, whose sides are rounded to whole merged patches (16:9, as wide as it may be)."""
    side = vision.patch_size * vision.spatial_merge_size
    height = math.sqrt(pixels * 9 / 16)
    rows, columns = max(1, round(height / side)), max(1, round(height * 16 / 9 / side))
    return int(rows * columns * vision.spatial_merge_size**2)


def _weights(settings: TrainSettings, whole: int, trained: int) -> int:
    if settings.method == "full":
        return 2 * whole
    frozen = whole - trained
    return round(0.55 * frozen if settings.method == "qlora" else 2 * frozen) + 4 * trained


def _activations(settings: TrainSettings, text: Any, at_once: int) -> int:
    """bfloat16: the input of each layer, and all of one layer, or of every layer without checkpointing."""
    layer = 2 * at_once * (8 * text.hidden_size + 4 * text.intermediate_size)
    kept = 2 * at_once * text.hidden_size * text.num_hidden_layers
    return int(kept + layer if settings.gradient_checkpointing else layer * text.num_hidden_layers)
