"""One of two processes of `test_vllm.py`: trains a reranker with its weights in parts (FSDP2) and merges it. The first
one writes down how whoever has transformers scores the folder: vLLM has an environment of its own.

merged_in_parts.py OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from sentence_transformers import CrossEncoder

from hardcut.reranker.examples import ClipRef
from hardcut.reranker.model import open_reranker
from hardcut.reranker.tiny import Size, make
from hardcut.reranker.training import TrainJob, train
from hardcut.schemas.ids import digest
from hardcut.schemas.settings import MediaSettings
from hardcut.schemas.training import LoraSettings, RankingSettings, TrainSettings
from hardcut.teacher.local.pair_prompt import pair_inputs, read_clip
from hardcut.teacher.local.pair_scoring import PairScorer
from tests.reranker.conftest import CORPUS, Clips, make_world

VIDEOS = ("validation-red-left", "validation-blue-right", "validation-white-left")
QUERIES = ("a red square moves left", "a blue square moves right", "a white square, not a <b> one", "a green square")
SETTINGS = TrainSettings(
    sharded=True,
    lora=LoraSettings(rank=4, dropout=0.0, vision=True),
    ranking=RankingSettings(frames=4, groups=1, accumulate=1, epochs=1, learning_rate=2e-2),
)


def build(folder: Path) -> None:
    """A small model whose processor brings pictures to another mean and deviation than videos. Its weights are large
    enough that a video makes a difference, and so does anything that is shown otherwise."""
    model, processor = make(CORPUS, Size())
    for weights in model.parameters():
        if weights.dim() > 1:
            weights.data *= 4
    processor.image_processor.image_mean = [0.2, 0.3, 0.4]
    processor.image_processor.image_std = [0.3, 0.25, 0.2]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def routes(folder: Path, shown: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """By route and video the scores of all queries."""
    reranker = open_reranker(str(folder), None, SETTINGS)
    reranker.network.eval()
    encoder, scorer = CrossEncoder(str(folder)), PairScorer(reranker.network, reranker.processor, 4)
    found: dict[str, dict[str, list[float]]] = {"CrossEncoder": {}, "a row for each pair": {}, "shared prefix": {}}
    for video, frames in shown.items():
        clip = read_clip(frames)
        how = {"video": {"do_sample_frames": False, "video_metadata": [clip.metadata]}}
        found["CrossEncoder"][video] = [
            float(encoder.predict([(query, clip.array)], processing_kwargs=how)[0]) for query in QUERIES
        ]
        with torch.no_grad():
            inputs = pair_inputs(reranker.processor, [(query, clip) for query in QUERIES])
            found["a row for each pair"][video] = reranker.scores(reranker.network, inputs).tolist()
        shared = scorer.logprobs(scorer.prepare(clip, QUERIES), reranker.answers)
        found["shared prefix"][video] = [yes - no for yes, no in shared]
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    out, state = Path(sys.argv[1]), PartialState(cpu=True)
    world = make_world(Clips(out / "videos", out / "frames", MediaSettings()))
    if state.is_main_process:
        build(out / "tiny")
    state.wait_for_everyone()
    train(world, TrainJob("ranking", str(out / "tiny"), out / "merged", world.clips, SETTINGS, whole=True))
    if state.is_main_process:
        clips = {video: world.clips.frames(ClipRef(video, f"{video}.mp4", digest(video)), 4) for video in VIDEOS}
        told = {
            "frames": {video: [[str(path), time] for path, time in frames] for video, frames in clips.items()},
            "queries": QUERIES,
            "routes": routes(out / "merged", clips),
        }
        (out / "routes.json").write_text(json.dumps(told))
    state.wait_for_everyone()
    state.destroy_process_group()
