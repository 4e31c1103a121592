"""How fast pairs are scored in process by a model of Qwen3-VL-8B's size, and how busy the GPU is meanwhile.

    python benchmarks/gpu_scoring.py CONFIG [--pairs 200] [--backend vllm]

CONFIG is a folder with the configuration, tokenizer and processor of Qwen3-VL-8B-Instruct and no weights: they are
drawn at random, so speed is real and answers mean nothing. One forward pass a pair, 24 frames a video, ten queries a
video. Writes `results/gpu_scoring.json`. Needs a GPU with 40 GB and the extra `transformers` or `vllm`; without a GPU
it says so and writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FRAMES, QUERIES = 24, 10


def write_weights(config: Path, folder: Path) -> int:
    """Saves a model of random weights with the files of `config`; returns its number of parameters."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    torch.manual_seed(0)
    with torch.device("cuda"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(config), dtype=torch.bfloat16)
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(config).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


class Utilisation:
    """The share of time that the GPU works, as nvidia-smi samples it."""

    def __init__(self) -> None:
        self._samples: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Utilisation:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def mean(self) -> float:
        return sum(self._samples) / max(1, len(self._samples)) / 100

    def _watch(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._stop.wait(0.2):
            self._samples.append(
                int(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0])
            )


async def score(spec: str, pairs: int, folder: Path) -> float:
    """Seconds for all pairs, after one video to warm up."""
    import numpy as np
    from PIL import Image

    from hardcut.engine.budget import current_stage
    from hardcut.media.frames import Frame
    from hardcut.schemas.records import Sampling
    from hardcut.schemas.settings import Resources, TeacherSettings
    from hardcut.teacher.protocol import Reply, Request
    from hardcut.teacher.registry import open_teacher

    current_stage.set("scores")
    dice = np.random.default_rng(0)
    sampling = Sampling(max_frames=FRAMES, reasoning=False)

    def video(number: int) -> list[Request]:
        frames = []
        for at in range(FRAMES):
            path = folder / f"{number}-{at}.jpg"
            Image.fromarray(dice.integers(0, 255, (360, 640, 3), dtype=np.uint8)).save(path, quality=90)
            frames.append(Frame(path, float(at), hashlib.sha256(path.read_bytes()).hexdigest()))
        common = {"video": {"duration_s": float(FRAMES)}, "evidence": [], "caption": None}
        return [
            Request("judge", {**common, "query": f"query {query}"}, sampling, tuple(frames)) for query in range(QUERIES)
        ]

    videos = [video(number) for number in range(1 + pairs // QUERIES)]
    teacher = open_teacher(TeacherSettings(spec=spec, sampling=sampling), Resources(max_model_len=16384))
    try:
        await teacher.complete(videos[0])
        started = time.perf_counter()
        for outcomes in await asyncio.gather(*map(teacher.complete, videos[1:])):
            assert all(isinstance(outcome, Reply) for outcome in outcomes)
        return time.perf_counter() - started
    finally:
        await teacher.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--backend", choices=("vllm", "transformers"), default="vllm")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("torch is not installed: nothing was measured", file=sys.stderr)
        return 4
    if not torch.cuda.is_available():
        print("no GPU is at hand: nothing was measured", file=sys.stderr)
        return 4
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parameters = write_weights(arguments.config, folder / "model")
        torch.cuda.empty_cache()
        with Utilisation() as gpu:
            seconds = asyncio.run(score(f"{arguments.backend}:{folder / 'model'}", arguments.pairs, folder))
    result = {
        "device": torch.cuda.get_device_name(),
        "backend": arguments.backend,
        "parameters": parameters,
        "frames_a_video": FRAMES,
        "queries_a_video": QUERIES,
        "pairs_per_s": round(arguments.pairs / seconds, 2),
        "gpu_busy": round(gpu.mean, 3),
    }
    print(json.dumps(result, indent=2))
    (HERE / "results" / "gpu_scoring.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
