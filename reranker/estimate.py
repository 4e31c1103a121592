"""What a training would take, from the model's configuration alone: nothing is loaded, fetched or put on a card.

Parameters are counted on torch's meta device, with the adapter that would be trained. Memory and time are estimates:
weights, what the optimiser keeps, activations; operations of the passes over a card's peak at a usual share of it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
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
from hardcut.teacher.local.safe_loading import NO_CODE, not_loaded

PEAK = 989e12
"""Floating-point operations a second of one H100 in bfloat16, dense, as its maker gives it."""
UTILISATION = 0.3
"""The share of the peak that training reached on an H200, whose peak is the same (`benchmarks/gpu_training.py`)."""
CARD = 80e9


@dataclass(frozen=True, slots=True)
class Card:
    """A card: bytes of memory, and dense operations a second in bfloat16 as its maker gives them."""

    memory: float
    peak: float


CARDS = {
    "h100": Card(80e9, PEAK),
    "h200": Card(141e9, PEAK),
    "b200": Card(180e9, 2250e12),
    "a100": Card(80e9, 312e12),
    "a100-40": Card(40e9, 312e12),
    "l40s": Card(48e9, 362e12),
    "a10": Card(24e9, 125e12),
    "rtx4090": Card(24e9, 165e12),
}
"""The cards that are known by name. Only the H200's share of its peak was measured."""


@dataclass(frozen=True, slots=True)
class Course:
    """A whole training on some cards: `steps` of all of them together, `hours`, and what they cost at `price` an hour
    and card, None where no price was given. `examples` of the dataset; what is left out on the way is not known yet."""

    card: str
    cards: int
    examples: int
    steps: int
    hours: float
    price: float | None
    money: float | None
    fits: bool


def course(
    told: TrainingEstimate, settings: TrainSettings, examples: int, card: str, cards: int, price: float | None
) -> Course:
    """What a training takes on such cards. Time is that of the steps: measuring on the validation split and reading
    videos come on top. Raises UsageError for a card that is not known."""
    known = CARDS.get(card)
    if known is None:
        raise UsageError(f"no card {card!r} is known: {', '.join(CARDS)}")
    ranking = told.stage == "ranking"
    stage = settings.ranking if ranking else settings.perception
    batch = settings.ranking.groups if ranking else settings.perception.batch
    steps = math.ceil(math.ceil(examples / (batch * stage.accumulate * cards)) * stage.epochs)
    hours = steps * told.flops_a_step / (known.peak * UTILISATION) / 3600
    parts = cards if settings.sharded else 1
    held = told.activation_bytes + (told.weights_bytes + told.optimiser_bytes) / parts
    money = None if price is None else hours * cards * price
    return Course(card, cards, examples, steps, hours, price, money, 1.1 * held <= known.memory)


_PROMPT = 110
"""Tokens of the prompt and a query beside the video."""
_QUERY = 40
"""Tokens that another query adds to a packed row: its text and what follows it."""
_TIME = 10
"""Tokens that say when a pair of frames is shown."""
_OF_HIDDEN, _OF_INTERMEDIATE = 56, 12
"""Bytes that a layer with adapters keeps for its backward pass in bfloat16, a token, by the widths of its state and of
its feed-forward part; counted by hooks on saved tensors (`tests/reranker/test_estimate.py`)."""


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """Of one process and card. Tokens and operations of a step are of all its forward passes, bytes at the peak.

    `counterfactual_tokens` of a step ask counterfactuals, where every group has all the blocks that it may have, of two
    queries beside its own. `unpacked_tokens` a step would have if each of them were in a row with its video again."""

    model: str
    stage: str
    parameters: int
    trainable: int
    tokens_a_pair: int
    tokens_a_step: int
    counterfactual_tokens: int
    unpacked_tokens: int
    weights_bytes: int
    optimiser_bytes: int
    activation_bytes: int
    memory_bytes: int
    fits: bool
    flops_a_step: float
    seconds_a_step: float


@dataclass(frozen=True, slots=True)
class _Shape:
    """What goes through the network in one forward pass: videos, a row of tokens each, tokens of one with one text and
    of a row (padded to the longest), patches of a video, and places of a row whose next token is asked for. `more` are
    the queries that are asked beside one a video."""

    videos: int
    more: int
    pair: int
    tokens: int
    patches: int
    patches_a_frame: int
    asked: int


def estimate(model: str, stage: str, settings: TrainSettings, media: MediaSettings, negatives: int) -> TrainingEstimate:
    """For a folder with a config.json, or a name in `sizes.json`. Raises UsageError where there is neither."""
    config = model_config(model)
    with torch.device("meta"):
        network: Any = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
        if settings.method != "full":
            network = get_peft_model(network, lora(settings.lora))
        else:
            network.requires_grad_(True)
    trained, whole = trainable(network)
    shape = _shape(config, stage, settings, media, negatives)
    passes = settings.ranking.accumulate if stage == "ranking" else settings.perception.accumulate
    flops = passes * _flops(network, config, settings, shape)
    weights = _weights(network, settings)
    optimiser = trained * (4 + 4 + 4)  # the gradient and AdamW's two moments
    activations = _activations(config, settings, shape)
    memory = round(1.1 * (weights + optimiser + activations))  # a tenth for fragments and buffers
    return TrainingEstimate(
        model, stage, whole - (0 if settings.method == "full" else trained), trained, shape.pair,
        shape.tokens * shape.videos * passes, _QUERY * shape.more * passes,
        shape.pair * (shape.videos + shape.more) * passes, weights, optimiser, activations, memory, memory <= CARD,
        float(flops), flops / (PEAK * UTILISATION),
    )  # fmt: skip


def _shape(config: Any, stage: str, settings: TrainSettings, media: MediaSettings, negatives: int) -> _Shape:
    vision = config.vision_config
    ranking = stage == "ranking"
    pictures = (settings.ranking if ranking else settings.perception).frames // vision.temporal_patch_size
    a_frame = _patches(media.max_pixels, vision)
    tokens = pictures * (a_frame // vision.spatial_merge_size**2 + _TIME) + _PROMPT
    if not ranking:
        asked = settings.perception.max_caption_tokens
        tokens += asked
        return _Shape(settings.perception.batch, 0, tokens, tokens, pictures * a_frame, a_frame, asked)
    groups, more = settings.ranking.groups, 2 * settings.ranking.blocks
    videos, row = groups * (1 + negatives), tokens + _QUERY * more
    return _Shape(videos, groups * more, tokens, row, pictures * a_frame, a_frame, 1 + more)


def _flops(network: Any, config: Any, settings: TrainSettings, shape: _Shape) -> int:
    """Of one forward and backward pass. A parameter that is multiplied costs 2 a place, forwards and again for the
    gradient of its input, and again for its own where it is trained; checkpointing goes forwards twice."""
    text, vision = config.text_config, config.vision_config
    counts = _counted(network)
    forward = 1 + settings.gradient_checkpointing
    weights = 1 if settings.method != "full" else 2
    spoken = counts["layers"] * shape.tokens * (forward + weights)
    spoken += (
        text.num_hidden_layers
        * _attention(shape.tokens, shape.tokens, text.num_attention_heads * text.head_dim)
        * (forward + 2)
    )
    spoken += counts["head"] * shape.asked * (1 + weights)
    seen, merged = counts["vision"] * shape.patches, counts["mergers"] * shape.patches // vision.spatial_merge_size**2
    attended = vision.depth * _attention(shape.patches, shape.patches_a_frame, vision.hidden_size)
    if settings.lora.vision or settings.method == "full":  # else nothing behind the pictures is trained
        seen, attended = seen * (forward + weights), attended * (forward + 2)
        merged *= 1 + weights
    return int(2 * shape.videos * (spoken + seen + merged + attended))


def _attention(tokens: int, over: int, width: int) -> int:
    """Multiplications of one layer: every token with every one that it may look at, and with what that says."""
    return 2 * tokens * over * width


def _counted(network: Any) -> Counter[str]:
    """Parameters that are multiplied, by where: `layers` at every token, `head` where a next token is asked for,
    `vision` at every patch, `mergers` at every merged one. Embeddings are looked up."""
    counts: Counter[str] = Counter()
    for name, value in network.named_parameters():
        if "embed_tokens" in name or "pos_embed" in name:
            continue
        head, seen, merger = "lm_head" in name, ".visual." in name, "merger" in name
        counts["head" if head else "mergers" if merger else "vision" if seen else "layers"] += value.numel()
    return counts


def model_config(model: str) -> Any:
    """The configuration of a folder, or of a size that is known. Raises UsageError where it is neither."""
    if (Path(model) / "config.json").is_file():
        try:
            return AutoConfig.from_pretrained(model, **NO_CODE)
        except (OSError, ValueError) as error:
            raise UsageError(not_loaded(model, error)) from error
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


def _weights(network: Any, settings: TrainSettings) -> int:
    """In float32 what is trained, in bfloat16 the rest; with qlora matrices in four bits and an eighth of one for their
    scales, and what is not quantized in float32."""
    if settings.method == "full":
        return sum(4 * value.numel() for value in network.parameters())
    total = 0.0
    for name, value in network.named_parameters():
        four_bits = value.ndim == 2 and not any(part in name for part in ("embed", "lm_head", "lora_"))
        adapter = value.requires_grad
        each = 4 if adapter else 2 if settings.method == "lora" else 4.127 / 8 if four_bits else 4
        total += each * value.numel()
    return round(total)


def _activations(config: Any, settings: TrainSettings, shape: _Shape) -> int:
    """The input of each layer and all of one, or all of every layer without checkpointing; and the logits, also in
    float32, with their gradient. The vision tower keeps nothing unless something in it is trained."""
    text, vision = config.text_config, config.vision_config
    towers = [(text, text.num_hidden_layers, shape.videos * shape.tokens)]
    if settings.lora.vision or settings.method == "full":
        towers.append((vision, vision.depth, shape.videos * shape.patches))
    inputs = sum(2 * places * tower.hidden_size * layers for tower, layers, places in towers)
    whole = [
        places * (_OF_HIDDEN * tower.hidden_size + _OF_INTERMEDIATE * tower.intermediate_size)
        for tower, _, places in towers
    ]
    every = sum(one * layers for one, (_, layers, _) in zip(whole, towers, strict=True))
    logits = (2 + 4 + 4) * shape.videos * shape.asked * text.vocab_size
    return int((inputs + max(whole) if settings.gradient_checkpointing else every) + logits)
