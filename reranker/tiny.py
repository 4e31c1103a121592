"""A small Qwen3-VL from random weights, with a tokenizer of its own: for the demo, the benchmark and the tests.

The architecture, processor and chat format are those of the large ones; only the sizes are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

try:
    from transformers import Qwen2VLImageProcessor
except ImportError:
    from transformers import Qwen2VLImageProcessorPil as Qwen2VLImageProcessor

SPECIAL = tuple(
    f"<|{name}|>"
    for name in (
        *("endoftext", "im_start", "im_end", "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad"),
    )
)
NORMALISED = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
"""Of pictures and videos alike, as in all published models of the family; the library has other ones for pictures."""
TEMPLATE = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{%- if m.content is string %}{{ m.content }}{%- else %}{%- for c in m.content %}"
    "{%- if c.type in ('image', 'image_url', 'image_pil') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif c.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- elif 'text' in c %}{{ c.text }}{%- endif %}{%- endfor %}{%- endif %}<|im_end|>\n{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How large the parts are. `pixels`: of a frame at most, in patches of 32 x 32."""

    hidden: int = 64
    layers: int = 2
    heads: int = 4
    vision_hidden: int = 64
    vision_layers: int = 2
    vocabulary: int = 700
    frame_patches: int = 16


def build(folder: Path, corpus: Iterable[str], size: Size = Size(), seed: int = 0) -> None:
    """Writes model, processor and tokenizer to a folder; `corpus` is what the tokenizer is trained on."""
    model, processor = make(corpus, size, seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def make(corpus: Iterable[str], size: Size, seed: int = 0) -> tuple[Any, Any]:
    """The model, in float32, and its processor."""
    processor = make_processor(corpus, size.vocabulary, size.frame_patches * 32 * 32)
    tokenizer = processor.tokenizer
    config = make_config(tokenizer, *_dimensions(size, len(tokenizer)))
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model, processor


def make_processor(corpus: Iterable[str], vocabulary: int, frame_px: int) -> Any:
    """A processor with a tokenizer trained on `corpus`; a frame of a video is scaled down to `frame_px` pixels, and a
    picture by itself to four times as many."""
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            patch_size=16, temporal_patch_size=2, merge_size=2,
            size={"shortest_edge": 32 * 32, "longest_edge": 4 * frame_px}, **NORMALISED,
        ),
        tokenizer=_tokenizer(corpus, vocabulary),
        video_processor=Qwen3VLVideoProcessor(
            patch_size=16, temporal_patch_size=2, merge_size=2,
            size={"shortest_edge": 4 * 32 * 32, "longest_edge": 32 * frame_px}, **NORMALISED,
        ),
        chat_template=TEMPLATE,
    )  # fmt: skip


def make_config(tokenizer: Any, text: dict[str, Any], vision: dict[str, Any]) -> Qwen3VLConfig:
    """The configuration of a model with these dimensions of its text and vision parts, for this tokenizer."""
    id_of = tokenizer.convert_tokens_to_ids
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    patches = {"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2}
    return Qwen3VLConfig(
        text_config={**text, **ends}, vision_config={**vision, **patches},
        image_token_id=id_of("<|image_pad|>"), video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"), vision_end_token_id=id_of("<|vision_end|>"),
        tie_word_embeddings=False,
    )  # fmt: skip


def _dimensions(size: Size, tokens: int) -> tuple[dict[str, Any], dict[str, Any]]:
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_interleaved": True, "mrope_section": [6, 5, 5]}
    text = {
        "vocab_size": (tokens + 63) // 64 * 64, "hidden_size": size.hidden, "intermediate_size": 2 * size.hidden,
        "num_hidden_layers": size.layers, "num_attention_heads": size.heads, "num_key_value_heads": size.heads // 2,
        "head_dim": 32, "max_position_embeddings": 8192, "rope_parameters": rope,
    }  # fmt: skip
    vision = {
        "depth": size.vision_layers, "hidden_size": size.vision_hidden, "intermediate_size": 2 * size.vision_hidden,
        "num_heads": 4, "out_hidden_size": size.hidden, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    return text, vision


def _tokenizer(corpus: Iterable[str], vocabulary: int) -> Any:
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    byte_level.train_from_iterator(chain(["yes", "no"] * 1000, corpus), trainer)  # answers are tokens by themselves
    byte_level.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    # The answer's tags are tokens, so that what follows them is soon learned and holds after a long prompt too.
    byte_level.add_tokens([AddedToken(text, special=False, normalized=False) for text in ("<answer>", "</answer>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left",
        model_max_length=8192,
    )  # fmt: skip
