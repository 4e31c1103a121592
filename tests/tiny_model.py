"""A Qwen3-VL of half a million parameters with a tokenizer of its own, made on the spot and taught to answer.

Its weights are random except for what a minute of training left: it reasons in three words and closes with yes or no,
by what the query says. Load it by its path, in an environment with torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
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

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>")
SPECIAL += ("<|image_pad|>", "<|video_pad|>")
TEMPLATE = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{%- if m.content is string %}{{ m.content }}{%- else %}{%- for c in m.content %}"
    "{%- if c.type in ('image', 'image_url', 'image_pil') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif 'text' in c %}{{ c.text }}{%- endif %}{%- endfor %}{%- endif %}<|im_end|>\n{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "yes no Yes No YES NO does the video answer the query? <answer>yes</answer> <answer>no</answer>",
    "The video is 20.0 seconds long. Evidence, sorted by time (kind, text, start and end in seconds, confidence):",
    'red green blue query ocr speech caption {} [] " : , . 0123456789 a yes b no',
] * 50
REASONING = " so it is "


def make_processor(largest_px: int = 64 * 32 * 32) -> Any:
    """A processor with a tokenizer trained on the spot; pictures are scaled down to `largest_px` pixels."""
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    )
    byte_level.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    # The answer's tags are tokens, so that what follows them is soon learned and holds after a long prompt too.
    byte_level.add_tokens([AddedToken(text, special=False, normalized=False) for text in ("<answer>", "</answer>")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_level, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left",
        model_max_length=8192,
    )  # fmt: skip
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            patch_size=16, temporal_patch_size=2, merge_size=2,
            size={"shortest_edge": 32 * 32, "longest_edge": largest_px},
        ),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(
            patch_size=16, temporal_patch_size=2, merge_size=2,
            size={"shortest_edge": 4 * 32 * 32, "longest_edge": 64 * 32 * 32},
        ),
        chat_template=TEMPLATE,
    )  # fmt: skip


def make_config(tokenizer: Any, text: dict[str, Any], vision: dict[str, Any]) -> Qwen3VLConfig:
    """The configuration of a model of these dimensions for this tokenizer."""
    id_of = tokenizer.convert_tokens_to_ids
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    patches = {"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2}
    return Qwen3VLConfig(
        text_config={**text, **ends}, vision_config={**vision, **patches},
        image_token_id=id_of("<|image_pad|>"), video_token_id=id_of("<|video_pad|>"),
        vision_start_token_id=id_of("<|vision_start|>"), vision_end_token_id=id_of("<|vision_end|>"),
        tie_word_embeddings=False,
    )  # fmt: skip


def tiny(tokenizer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The smallest dimensions of text and vision that have all parts."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_interleaved": True, "mrope_section": [6, 5, 5]}
    text = {
        "vocab_size": (len(tokenizer) + 63) // 64 * 64, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "max_position_embeddings": 8192, "rope_parameters": rope,
    }  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 64,
        "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    return text, vision


def build(folder: Path) -> None:
    """Makes the model, teaches it, saves it."""
    processor = make_processor()
    tokenizer = processor.tokenizer
    config = make_config(tokenizer, *tiny(tokenizer))
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config)
    ids = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    model.generation_config = GenerationConfig(eos_token_id=ids[0], pad_token_id=ids[1])
    _teach(model, processor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _teach(model: Any, processor: Any, steps: int = 80) -> None:
    """To close with an answer after its reasoning, whatever was asked."""
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    tokenizer, random = processor.tokenizer, torch.Generator().manual_seed(0)
    image = Image.new("RGB", (64, 64))
    for step in range(steps):
        number = int(torch.randint(0, 1000, (1,), generator=random))
        word = ("yes", "no")[int(torch.rand(1, generator=random) < 0.5)]
        ask = f"The video is {number} seconds long. Does the video answer the query {number}?"
        reply = f"{REASONING}<answer>{word}</answer><|im_end|>"
        media = "<0.0 s><|vision_start|><|image_pad|><|vision_end|>" if step % 2 else ""
        text = f"<|im_start|>user\n{media}{ask}<|im_end|>\n<|im_start|>assistant\n{reply}"
        inputs = processor(text=[text], **({"images": [[image]]} if media else {}), return_tensors="pt")
        labels = inputs["input_ids"].clone()
        labels[:, : -len(tokenizer.encode(reply, add_special_tokens=False))] = -100
        loss = model(**inputs, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


if __name__ == "__main__":
    build(Path(sys.argv[1]))
