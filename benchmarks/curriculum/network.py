"""A small Qwen3-VL from random weights whose tokenizer knows the words of this world and nothing else.

What every prompt repeats is one token each: a small model has no use for reading it word by word. As in the smallest
published models of the family, input and output embeddings are tied. Weights are drawn with a deviation of one over the
square root of the width: the library's 0.02 is meant for widths in the thousands. What it does here is told in
docs/curriculum.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from benchmarks.curriculum.footage import FRAMES, RATE, SIDE_PX
from hardcut.reranker.tiny import NORMALISED, SPECIAL, TEMPLATE, Qwen2VLImageProcessor
from hardcut.teacher.local.profiles import HARDCUT

PATCH_PX, TEMPORAL, MERGE = 16, 2, 2
"""As published. A frame of 64 x 64 pixels is 4 x 4 patches and 2 x 2 tokens."""
_HEAD = 32
_ASK = "Does the video answer the query?"
PHRASES = (HARDCUT.system, _ASK, "Describe the video.", "Query:", "<answer>", "</answer>")


@dataclass(frozen=True, slots=True)
class Network:
    """How large the parts are."""

    hidden: int = 96
    layers: int = 4
    heads: int = 4
    vision_hidden: int = 64
    vision_layers: int = 2


def build(folder: Path, words: Iterable[str], network: Network, seed: int, phrases: Sequence[str] = PHRASES) -> None:
    """Writes model, processor and tokenizer to a folder; each of the phrases is one token."""
    tokenizer = _tokenizer(words, phrases)
    id_of = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": (len(tokenizer) + 15) // 16 * 16,
            "hidden_size": network.hidden,
            "intermediate_size": 2 * network.hidden,
            "num_hidden_layers": network.layers,
            "num_attention_heads": network.heads,
            "num_key_value_heads": network.heads,
            "head_dim": _HEAD,
            "max_position_embeddings": 512,
            "initializer_range": network.hidden**-0.5,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_interleaved": True,
                "mrope_section": [6, 5, 5],  # time, height, width: together half a head
            },
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": network.vision_layers,
            "hidden_size": network.vision_hidden,
            "initializer_range": network.vision_hidden**-0.5,
            "intermediate_size": 2 * network.vision_hidden,
            "num_heads": 4,
            "patch_size": PATCH_PX,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
            "out_hidden_size": network.hidden,
            "num_position_embeddings": (SIDE_PX // PATCH_PX) ** 2,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=id_of("<|image_pad|>"),
        video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"),
        vision_end_token_id=id_of("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    _processor(tokenizer).save_pretrained(folder)


def _processor(tokenizer: Any) -> Any:
    sizes = {"patch_size": PATCH_PX, "temporal_patch_size": TEMPORAL, "merge_size": MERGE}
    pixels = {"shortest_edge": SIDE_PX**2, "longest_edge": FRAMES * SIDE_PX**2}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**sizes, size=pixels, **NORMALISED),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**sizes, size=pixels, **NORMALISED),
        chat_template=TEMPLATE,
    )


def _tokenizer(words: Iterable[str], phrases: Sequence[str]) -> Any:
    vocabulary = ["<unk>", *sorted({"yes", "no", "system", "user", "assistant", *words})]
    known = Tokenizer(models.WordLevel({word: id for id, word in enumerate(vocabulary)}, unk_token="<unk>"))
    known.pre_tokenizer = pre_tokenizers.Whitespace()
    known.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    # Qwen3-VL writes before every temporal patch when it is shown: the mean time of its frames.
    times = [(at + (TEMPORAL - 1) / 2) / RATE for at in range(0, FRAMES, TEMPORAL)]
    known_whole = (*phrases, *(f"<{time:.1f} seconds>" for time in times))
    known.add_tokens([AddedToken(text, special=False, normalized=False) for text in known_whole])
    return PreTrainedTokenizerFast(
        tokenizer_object=known,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<unk>",
        padding_side="left",
        model_max_length=512,
    )
