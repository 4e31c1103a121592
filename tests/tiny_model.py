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

from hardcut.reranker.tiny import Size, make

CORPUS = [
    "yes no Yes No YES NO does the video answer the query? <answer>yes</answer> <answer>no</answer>",
    "The video is 20.0 seconds long. Evidence, sorted by time (kind, text, start and end in seconds, confidence):",
    'red green blue query ocr speech caption {} [] " : , . 0123456789 a yes b no',
] * 50
REASONING = " so it is "


def build(folder: Path) -> None:
    """Makes the model, teaches it, saves it."""
    model, processor = make(CORPUS, Size())
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
