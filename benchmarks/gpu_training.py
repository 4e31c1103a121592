"""Ten real steps of stage 2 with random weights of a real size, held against what `hardcut train --dry-run` estimates.

    python benchmarks/gpu_training.py --out benchmarks/results/gpu_training.json

Needs a GPU and `pip install "hardcut[train]"`; fetches nothing: the weights are random, the tokenizer is a small one.
`--model FOLDER` takes another config. To try it on a CPU, with a folder that `reranker/tiny.py` wrote:

    python benchmarks/gpu_training.py --model FOLDER --frames 4 --accumulate 1 --steps 2 --out /tmp/tried.json
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from peft import get_peft_model
from transformers import AutoModelForImageTextToText

from hardcut.reranker.estimate import estimate, model_config
from hardcut.reranker.losses import Batch, ranking_loss
from hardcut.reranker.model import lora
from hardcut.reranker.tiny import Size, make
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import RankingSettings, TrainSettings
from hardcut.teacher.local.pair_prompt import DecodedClip, add_pair_template, pair_inputs

NEGATIVES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="Qwen/Qwen3-VL-8B-Instruct")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--frames", type=int, default=RankingSettings().frames)
    parser.add_argument("--accumulate", type=int, default=RankingSettings().accumulate)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    ranking = RankingSettings(frames=given.frames, accumulate=given.accumulate, counterfactuals=0)
    settings, media = TrainSettings(ranking=ranking), MediaSettings()
    told = estimate(given.model, "ranking", settings, media, NEGATIVES)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _, processor = make(["Query: Does the video answer the query? 0123456789 seconds"] * 50, Size(frame_patches=220))
    add_pair_template(processor)
    config = model_config(given.model)
    for name in ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"):
        setattr(config, name, getattr(processor, name))
    with device:
        network = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    network = get_peft_model(network, lora(settings.lora))
    network.gradient_checkpointing_enable({"use_reentrant": False})
    network.train()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=settings.ranking.learning_rate)
    draw = np.random.default_rng(0)
    frames = settings.ranking.frames
    pictures = draw.integers(0, 255, (1 + NEGATIVES, frames, 352, 640, 3), dtype=np.uint8)
    times = tuple(number / 2 for number in range(frames))
    inputs = pair_inputs(processor, [("a red ball rolls to the left", DecodedClip(each, times)) for each in pictures])
    inputs = inputs.to(device)
    shape = (1, 1 + NEGATIVES)
    batch = Batch(torch.ones(shape, dtype=torch.bool, device=device), torch.full(shape, 0.3, device=device))
    seconds, losses = [], []
    for _ in range(given.steps):
        started = time.perf_counter()
        for _ in range(settings.ranking.accumulate):
            with torch.autocast(device.type, torch.bfloat16):
                logits = network(**inputs, logits_to_keep=1).logits[:, -1]
            total, _ = ranking_loss((logits[:, 1] - logits[:, 0])[None], batch, settings.ranking.loss)
            (total / settings.ranking.accumulate).backward()
        torch.nn.utils.clip_grad_norm_(trained, settings.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(round(time.perf_counter() - started, 3))
        losses.append(float(total.detach()))
    result = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "estimate": asdict(told),
        "tokens_a_step": inputs["input_ids"].numel() * settings.ranking.accumulate,
        "memory_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "seconds": seconds,
        "seconds_a_step": sorted(seconds)[len(seconds) // 2],
        "losses": losses,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
