"""Stored frames as a model in process takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from hardcut.teacher.local.generation import Prompt
from hardcut.teacher.local.pair_prompt import Shown, read_clip


def read_pictures(prompts: Sequence[Prompt]) -> dict[Path, Image.Image]:
    """The pictures of these prompts in RGB, each read once and in memory once, however many prompts show it: questions
    on one video show the same (ten on each of 64 videos, 32 frames of 640 x 360: 1.4 GB in place of 14).

    Raises OSError.
    """
    pictures: dict[Path, Image.Image] = {}
    for path in dict.fromkeys(path for prompt in prompts for _, path in prompt.pictures):
        with Image.open(path) as picture:
            pictures[path] = picture.convert("RGB")
    return pictures


def read_shown(prompt: Prompt) -> Shown:
    """What a reranker's pair shows: the video, behind the one that its query starts from. Raises OSError."""
    clip = read_clip(prompt.frames)
    return (read_clip(prompt.reference), clip) if prompt.reference else clip


def chat_text(processor: Any, tokenizer: Any, prompt: Prompt) -> str:
    """A prompt as the model's chat template renders it, pictures as their placeholders."""
    text = processor.apply_chat_template(
        prompt.messages([{"type": "image"}] * len(prompt.pictures), tokenizer),
        tokenize=False,
        add_generation_prompt=not prompt.prefilled,
        continue_final_message=prompt.prefilled,
    )
    return str(text)


def chat_inputs(processor: Any, texts: Sequence[str], images: Sequence[Sequence[Image.Image]]) -> Any:
    """What a model is given for rendered texts and the pictures of each: PyTorch tensors."""
    given = {"images": [list(each) for each in images]} if any(images) else {}
    return processor(text=list(texts), **given, padding=True, return_tensors="pt")
