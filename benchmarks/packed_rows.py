"""Processor time of a training step where one video is asked several queries: in rows of their own, and packed in one.

    python benchmarks/packed_rows.py [--rounds 3]

Forward and backward passes of stage 2 over one video with 2 and with 7 counterfactual queries, and of a group of such a
video and two negatives, in the proportions of a real model, in which the video dominates. The ways take turns in one
process, in one thread; a figure is the least of its rounds. Needs `pip install "hardcut[train]"`. Writes
`results/packed_rows.json`:

* `separate`: each query in a row of its own, the video in each of them.
* `packed`: the queries of the video in one row, negatives beside it in one padded batch. This is what the trainer does.
* `two passes`: the packed row in one pass, the negatives in another, so that no row is padded to the packed one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hardcut.reranker.model import Reranker, make_trainable, open_reranker
from hardcut.reranker.packing import packed_inputs
from hardcut.reranker.tiny import Size, build
from hardcut.schemas.training import LoraSettings, TrainSettings
from hardcut.teacher.local.pair_prompt import DecodedClip, pair_inputs

HERE = Path(__file__).resolve().parent
SIZE = Size(hidden=256, layers=7, heads=8, vision_hidden=128, vision_layers=6, frame_patches=70)
FRAMES, HEIGHT, WIDTH = 24, 224, 320
TEXT = (
    "a man in a red jacket opens the left door before the dog runs out and then the sign with the word ZOO is taken "
    "down while nobody claps"
)
CASES = {"lora": ((2, 0), (7, 0), (2, 2)), "full": ((2, 0), (7, 0))}
"""Counterfactual queries and negatives, by method."""
Asked = Sequence[tuple[DecodedClip, Sequence[str]]]


def separate(reranker: Reranker, asked: Asked) -> Tensor:
    pairs = [(query, clip) for clip, queries in asked for query in queries]
    return reranker.scores(reranker.network, dict(pair_inputs(reranker.processor, pairs)))


def packed(reranker: Reranker, asked: Asked) -> Tensor:
    return reranker.scores(reranker.network, packed_inputs(reranker.processor, asked))


def two_passes(reranker: Reranker, asked: Asked) -> Tensor:
    return torch.cat([packed(reranker, asked[:1]), separate(reranker, asked[1:])])


def step(reranker: Reranker, way: Callable[[Reranker, Asked], Tensor], asked: Asked) -> tuple[float, Tensor, Tensor]:
    """Processor seconds of a step (making the inputs, forward, backward), its scores and its gradients."""
    reranker.network.zero_grad()
    started = time.process_time()
    scores = way(reranker, asked)
    (-(scores / 10).log_softmax(0)[0]).backward()
    took = time.process_time() - started
    gradients = [value.grad.flatten() for value in reranker.network.parameters() if value.grad is not None]
    return took, scores.detach(), torch.cat(gradients)


def measure(reranker: Reranker, counterfactuals: int, negatives: int, rounds: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    queries = [" ".join(draw.permutation(TEXT.split())[:18]) for _ in range(1 + counterfactuals)]
    clips = [
        DecodedClip(draw.integers(0, 255, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8), tuple(map(float, range(FRAMES))))
        for _ in range(1 + negatives)
    ]
    asked = [(clips[0], queries), *((clip, queries[:1]) for clip in clips[1:])]
    ways = {"separate": separate, "packed": packed, **({"two passes": two_passes} if negatives else {})}
    turns = [{name: step(reranker, way, asked) for name, way in ways.items()} for _ in range(rounds)]
    pairs = 1 + counterfactuals + negatives
    seconds = {name: min(turn[name][0] for turn in turns) for name in ways}
    (_, scores, gradients), (_, ours, mine) = turns[0]["separate"], turns[0]["packed"]
    return {
        "counterfactual_queries": counterfactuals,
        "negatives": negatives,
        "seconds_a_pair": {name: round(value / pairs, 4) for name, value in seconds.items()},
        "of_separate": {name: round(value / seconds["separate"], 3) for name, value in seconds.items()},
        "scores_apart": float((scores - ours).abs().max()),
        "gradients_apart": float((gradients - mine).norm() / gradients.norm()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "packed_rows.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    load, results = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), [TEXT] * 50, SIZE)
        for method, cases in CASES.items():
            settings = TrainSettings(method=method, dtype="float32", lora=LoraSettings(dropout=0.0))
            torch.manual_seed(0)
            reranker = open_reranker(folder, None, settings)
            make_trainable(reranker, settings, "ranking")
            reranker.network.gradient_checkpointing_enable({"use_reentrant": False})
            reranker.network.train()
            for counterfactuals, negatives in cases:
                results.append({"method": method, **measure(reranker, counterfactuals, negatives, given.rounds)})
                print(json.dumps(results[-1]))
    told = {
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "torch": torch.__version__,
        "load_average_before": round(load, 1),
        "video": {"frames": FRAMES, "height": HEIGHT, "width": WIDTH},
        "gradient_checkpointing": True,
        "results": results,
    }
    given.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
