"""Small models of random weights, of families that people rerank videos with, written to folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPImageProcessor,
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    InternVLVisionConfig,
    LlamaConfig,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLVideoProcessor,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
)
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from hardcut.reranker.tiny import Qwen2VLImageProcessor, build, make_processor

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "initializer_range": 0.2,
}


def template(video: str) -> str:
    """A chat template in the manner of ChatML, with this for a video."""
    return (
        "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{%- for c in m.content %}"
        "{%- if c.type == 'video' %}" + video + "{%- elif 'text' in c %}{{ c.text }}{%- endif %}{%- endfor %}"
        "<|im_end|>\n{%- endfor %}{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def _tokenizer(corpus: Iterable[str], *special: str) -> Any:
    tokenizer = make_processor(corpus, 700, 64 * 64).tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return tokenizer


def _save(model: Any, processor: Any, folder: Path) -> None:
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def qwen3_vl(folder: Path, corpus: Iterable[str]) -> None:
    """The family of RANKVIDEO and of Qwen3-VL-Reranker."""
    build(folder, corpus)


def qwen2_5_vl(folder: Path, corpus: Iterable[str]) -> None:
    tokenizer = _tokenizer(corpus)
    id_of = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            **TEXT,
            "vocab_size": len(tokenizer),
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64,
            "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "fullatt_block_indexes": [1],
        },
        image_token_id=id_of("<|image_pad|>"), video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"), vision_end_token_id=id_of("<|vision_end|>"),
        tie_word_embeddings=False,
    )  # fmt: skip
    size = {"shortest_edge": 28 * 28, "longest_edge": 16 * 28 * 28}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=size),
        chat_template=template("<|vision_start|><|video_pad|><|vision_end|>"),
    )
    _save(Qwen2_5_VLForConditionalGeneration(config), processor, folder)


def llava_onevision(folder: Path, corpus: Iterable[str]) -> None:
    tokenizer = _tokenizer(corpus, "<image>", "<video>")
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        ),
        text_config=Qwen2Config(**TEXT, vocab_size=len(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=[[32, 32]],
    )
    size = {"height": 32, "width": 32}
    processor = LlavaOnevisionProcessor(
        image_processor=CLIPImageProcessor(size=size, do_center_crop=False),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template("<video>"),
    )
    _save(LlavaOnevisionForConditionalGeneration(config), processor, folder)


def internvl(folder: Path, corpus: Iterable[str]) -> None:
    tokenizer = _tokenizer(corpus, "<IMG_CONTEXT>", "<img>", "</img>", "<video>")
    names = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    for name, token in (*names.items(), ("video_token", "<video>")):
        setattr(tokenizer, name, token)
        tokenizer.init_kwargs[name] = token
        setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
    tokenizer.init_kwargs["extra_special_tokens"] = {**names, "video_token": "<video>"}
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=[32, 32],
            patch_size=[8, 8], use_absolute_position_embeddings=True,
        ),
        text_config=Qwen2Config(**TEXT, vocab_size=len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
    )  # fmt: skip
    size = {"height": 32, "width": 32}
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=template("<video>\n"),
    )
    _save(InternVLForConditionalGeneration(config), processor, folder)


def smolvlm(folder: Path, corpus: Iterable[str]) -> None:
    tokenizer = _tokenizer(
        corpus, "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"
    )
    config = SmolVLMConfig(
        vision_config=SmolVLMVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        ),
        text_config=LlamaConfig(**TEXT, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    edges = {"size": {"longest_edge": 32}, "max_image_size": {"longest_edge": 32}}
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(**edges, do_image_splitting=False),
        tokenizer=tokenizer,
        video_processor=SmolVLMVideoProcessor(**edges, fps=1, num_frames=8),
        image_seq_len=4,
        chat_template=template("<video>"),
    )
    _save(SmolVLMForConditionalGeneration(config), processor, folder)


FAMILIES: dict[str, Callable[[Path, Iterable[str]], None]] = {
    "qwen3_vl": qwen3_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "llava_onevision": llava_onevision,
    "internvl": internvl,
    "smolvlm": smolvlm,
}


def make(name: str, folder: Path, corpus: Iterable[str]) -> None:
    """Writes a model of a family to a folder."""
    torch.manual_seed(0)
    FAMILIES[name](folder, corpus)
