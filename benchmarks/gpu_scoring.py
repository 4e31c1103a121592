"""How fast pairs are scored in process by a model of Qwen3-VL-8B's size, and how busy the GPU is meanwhile.

    python benchmarks/gpu_scoring.py [--pairs 200] [--backend vllm] [--reasoning 256] [--bench]

The model has the dimensions of Qwen3-VL-8B-Instruct and random weights, its tokenizer is trained on the spot
(`reranker/tiny.py`): speed is real, answers mean nothing, and nothing is downloaded. A small tokenizer makes more
tokens of a text; the tokens of a pair stand beside its speed. One forward pass a pair, 24 frames of 640 x 360 a video,
ten queries a video. With `--reasoning` a judge writes so many tokens first, and random weights end none of them early.
`--bench` then has `vllm bench throughput` do as many prompts of the same mean lengths, of text and without anything in
common: `of_bench` is our tokens a second over its. Writes `results/gpu_scoring.json`. Needs a GPU with 40 GB, 20 GB of
disk for a while, and the extras `train` (to make the model) and `transformers` or `vllm`; without a GPU it says so and
measures nothing. `--rehearse` runs it all with a tiny model on whatever is there and writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hardcut.schemas.resources import Resources

HERE = Path(__file__).resolve().parent
QUERIES = 10
WIDTH, HEIGHT = 640, 360
MODEL = "Qwen/Qwen3-VL-8B-Instruct"


@dataclass(frozen=True)
class Scored:
    """What came of one measurement."""

    pairs: int
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    busy: float | None

    @property
    def tokens_per_s(self) -> float:
        """Tokens read and written a second."""
        return self.pairs * (self.prompt_tokens + self.completion_tokens) / self.seconds


def write_model(folder: Path, rehearse: bool) -> None:
    """Saves a model of random weights. In a process of its own, so that it leaves nothing on the GPU."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    from hardcut.reranker.tiny import Size, make, make_processor

    words = ["does the video answer the query? <answer>yes</answer> <answer>no</answer>", "0123456789 evidence caption"]
    if rehearse:
        config, processor = (made := make(words, Size()))[0].config, made[1]
    else:
        from hardcut.reranker.estimate import model_config

        processor = make_processor(words, 700, WIDTH * HEIGHT // 4)
        config, tokenizer = model_config(MODEL), processor.tokenizer
        for name in ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"):
            setattr(config, name, getattr(processor, name))
        config.text_config.bos_token_id = None
        config.text_config.pad_token_id, config.text_config.eos_token_id = (
            tokenizer.pad_token_id,
            tokenizer.eos_token_id,
        )
    config.dtype = torch.bfloat16
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen3VLForConditionalGeneration(config)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    (folder / "parameters").write_text(str(parameters), encoding="ascii")


class Utilisation:
    """The share of time that the first GPU works, as nvidia-smi samples it."""

    _QUERY = ("nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")

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
    def mean(self) -> float | None:
        return sum(self._samples) / len(self._samples) / 100 if self._samples else None

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            try:
                told = subprocess.run(self._QUERY, capture_output=True, text=True, check=True).stdout
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"the GPU's work is not known: {error}", file=sys.stderr)
                return
            self._samples.append(int(told.split()[0]))


BENCH = """
import sys
from vllm.benchmarks.throughput import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args(sys.argv[1:]))
"""
"""`vllm bench throughput`. The command itself asks for a package of the name `vllm`, which builds for CPUs have not."""


def bench(model: Path, scored: Scored, resources: Resources, out: Path) -> float:
    """Tokens a second of the bare engine, with as many prompts of the same lengths. In a process of its own."""
    wanted = {
        "model": str(model),
        "dataset-name": "random",
        "random-input-len": scored.prompt_tokens,
        "random-output-len": scored.completion_tokens,
        "num-prompts": scored.pairs,
        "max-model-len": resources.max_model_len,
        "gpu-memory-utilization": resources.gpu_memory,
        "output-json": str(out),
    }
    options = [part for name, value in wanted.items() for part in (f"--{name}", str(value))]
    subprocess.run([sys.executable, "-c", BENCH, *options], check=True)
    return float(json.loads(out.read_text(encoding="utf-8"))["tokens_per_second"])


async def score(spec: str, pairs: int, frames: int, reasoning: int, resources: Resources, folder: Path) -> Scored:
    """Scores all pairs, after one video to load the model and warm up, which is not measured."""
    import numpy as np
    from PIL import Image

    from hardcut.engine.budget import current_stage
    from hardcut.media.frames import Frame
    from hardcut.schemas.records import Sampling
    from hardcut.schemas.settings import TeacherSettings
    from hardcut.teacher.protocol import Outcome, Reply, Request
    from hardcut.teacher.registry import open_teacher

    current_stage.set("scores")
    dice = np.random.default_rng(0)
    sampling = Sampling(max_frames=frames, reasoning=bool(reasoning), max_tokens=max(1, reasoning))

    def video(number: int) -> list[Request]:
        shown = []
        for at in range(frames):
            path = folder / f"{number}-{at}.jpg"
            Image.fromarray(dice.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(path, quality=90)
            shown.append(Frame(path, float(at), hashlib.sha256(path.read_bytes()).hexdigest()))
        common = {"video": {"duration_s": float(frames)}, "evidence": [], "caption": None}
        return [
            Request("judge", {**common, "query": f"query {query}"}, sampling, tuple(shown)) for query in range(QUERIES)
        ]

    def replies(batches: Sequence[Sequence[Outcome]]) -> list[Reply]:
        refused = [outcome for batch in batches for outcome in batch if not isinstance(outcome, Reply)]
        if refused:
            raise SystemExit(f"a pair was not scored: {refused[0]}")
        return [outcome for batch in batches for outcome in batch if isinstance(outcome, Reply)]

    videos = [video(number) for number in range(1 + max(1, pairs // QUERIES))]
    teacher = open_teacher(TeacherSettings(spec=spec, sampling=sampling), resources)
    try:
        replies([await teacher.complete(videos[0])])
        with Utilisation() as gpu:
            started = time.perf_counter()
            scored = await asyncio.gather(*map(teacher.complete, videos[1:]))
            seconds = time.perf_counter() - started
    finally:
        await teacher.close()
    tokens = [reply.tokens for reply in replies(scored)]
    prompt, cached = sum(each.prompt for each in tokens), sum(each.cached for each in tokens)
    written = sum(each.completion for each in tokens)
    return Scored(len(tokens), seconds, prompt // len(tokens), cached // len(tokens), written // len(tokens), gpu.mean)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--backend", choices=("vllm", "transformers"), default="vllm")
    parser.add_argument("--batch", type=int, default=Resources().batch, help="transformers: pairs in one forward pass")
    parser.add_argument("--reasoning", type=int, default=0, metavar="TOKENS", help="what a judge writes first")
    parser.add_argument("--bench", action="store_true", help="hold it against vllm bench throughput")
    parser.add_argument("--model", type=Path, help="a folder in which the model is looked for, and left")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "gpu_scoring.json")
    parser.add_argument("--rehearse", action="store_true")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("torch is not installed: nothing was measured", file=sys.stderr)
        return 4
    if not (torch.cuda.is_available() or arguments.rehearse):
        print("no GPU is at hand: nothing was measured", file=sys.stderr)
        return 4
    frames, resources = 24, Resources(max_model_len=16384, batch=arguments.batch)
    if arguments.rehearse:
        frames, resources = 4, Resources(max_model_len=4096, gpu_memory=0.2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = arguments.model or folder / "model"
        if not (model / "parameters").is_file():
            model.mkdir(parents=True, exist_ok=True)
            child = multiprocessing.get_context("spawn").Process(target=write_model, args=(model, arguments.rehearse))
            child.start()
            child.join()
            if child.exitcode:
                print("the model could not be made: nothing was measured", file=sys.stderr)
                return 4
        parameters = int((model / "parameters").read_text(encoding="ascii"))
        spec = f"{arguments.backend}:{model}"
        scored = asyncio.run(score(spec, arguments.pairs, frames, arguments.reasoning, resources, folder))
        bare = bench(model, scored, resources, folder / "bench.json") if arguments.bench else None
    result = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "backend": arguments.backend,
        "parameters": parameters,
        "frames_a_video": frames,
        "queries_a_video": QUERIES,
        "pairs_a_pass": resources.batch,
        "prompt_tokens_a_pair": scored.prompt_tokens,
        "of_these_shared": scored.cached_tokens,
        "completion_tokens_a_pair": scored.completion_tokens,
        "pairs": scored.pairs,
        "pairs_per_s": round(scored.pairs / scored.seconds, 2),
        "tokens_per_s": round(scored.tokens_per_s),
        "bench_tokens_per_s": None if bare is None else round(bare),
        "of_bench": None if bare is None else round(scored.tokens_per_s / bare, 2),
        "gpu_busy": None if scored.busy is None else round(scored.busy, 3),
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if not arguments.rehearse:
        arguments.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
