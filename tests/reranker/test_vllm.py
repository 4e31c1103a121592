"""A reranker that was trained with its weights in parts (FSDP2) and merged gives the same scores on every route: by
transformers pair by pair, with a shared prefix, by CrossEncoder, by vLLM in process, and by vLLM's `/classify`.

Needs torch and vllm (`make test-vllm`); the plain tests leave it out. What trains has an environment of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hardcut.reranker.servers import ServerScorer
from hardcut.teacher.confidence import first_token_answer
from hardcut.teacher.local.generation import Generated, ModelOptions, Prompt, Scored, pair_prompt
from hardcut.teacher.local.process import Kind, ModelProcess
from hardcut.teacher.server.keys import KeySource
from tests.vllm_server import NAME, SETTINGS, free_port, pooling_server

INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "vllm"))
CLOSE = 1e-4
KINDS: tuple[Kind, Kind] = ("vllm", "transformers")
ROOT = Path(__file__).parents[2]
TRAINS = ROOT / os.environ.get("VENV_TRAIN", ".venv-train") / "bin" / "python"
"""The environment that trains (`make test-train`)."""
CLASSIFIER = {
    "architectures": ["Qwen3VLForSequenceClassification"],
    "classifier_from_token": ["no", "yes"],
    "is_original_qwen3_reranker": True,
    "text_config": {"tie_word_embeddings": False},
}
"""What docs/training.md has for `--hf-overrides`."""

PROGRAM = """
import sys
from hardcut.reranker.tiny import Size, make
texts = [f"a red square moves {way}. Does the video answer the query?" for way in ("left", "right")] * 20
model, processor = make(texts, Size())
processor.image_processor.image_mean, processor.image_processor.image_std = [0.2, 0.3, 0.4], [0.3, 0.25, 0.2]
model.save_pretrained(sys.argv[1])
processor.save_pretrained(sys.argv[1])
"""
"""A model whose processor brings pictures to another mean and deviation than videos."""

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not INSTALLED, reason="torch and vllm are not installed: `make test-vllm`"),
]


@pytest.fixture(autouse=True)
def on_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM's own settings."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


def test_vllm_shows_videos_by_their_own_mean_and_deviation(tmp_path: Path) -> None:
    model = tmp_path / "model"
    subprocess.run([sys.executable, "-c", PROGRAM, str(model)], check=True, capture_output=True, timeout=280)
    draw, frames = np.random.default_rng(0), []
    for number in range(6):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(draw.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
        frames.append((path, number / 2))
    prompts = {"v": [pair_prompt(f"a red square moves {way}", tuple(frames)) for way in ("left", "right", "left <b>")]}
    start = tuple(frames[:2][::-1])  # of a composed query: another video, at times of its own
    reference = ((start[0][0], 0.0), (start[1][0], 4.0))
    prompts["composed"] = [replace(prompt, reference=reference) for prompt in prompts["v"]]
    found, wanted = (_in_process(kind, model, prompts, videos=2) for kind in KINDS)
    for of in prompts:
        assert found[of] == pytest.approx(wanted[of], abs=CLOSE), of
        assert max(wanted[of]) - min(wanted[of]) > 2 * CLOSE
    apart = [abs(one - other) for one, other in zip(wanted["v"], wanted["composed"], strict=True)]
    assert min(apart) > 2 * CLOSE, "the reference makes a difference"


@pytest.mark.skipif(not TRAINS.exists(), reason="nothing here trains: `make test-train`")
def test_every_route_gives_a_merged_model_the_same_scores(tmp_path: Path) -> None:
    _trained_in_two_processes(tmp_path)
    told, model = json.loads((tmp_path / "routes.json").read_text()), tmp_path / "merged"
    prompts = {
        video: [pair_prompt(query, tuple((Path(path), time) for path, time in frames)) for query in told["queries"]]
        for video, frames in told["frames"].items()
    }
    routes = told["routes"]
    routes |= {f"hardcut rerank, {kind}": _in_process(kind, model, prompts) for kind in KINDS}
    routes["vLLM's /classify"] = _served(model, prompts)

    wanted = routes["a row for each pair"]
    assert len(routes) == 6
    for name, found in routes.items():
        for video, scores in wanted.items():
            assert found[video] == pytest.approx(scores, abs=CLOSE), name
    for at in range(len(told["queries"])):  # videos lie further apart than routes may: so do their orders agree
        values = sorted(scores[at] for scores in wanted.values())
        assert min(above - below for below, above in pairwise(values)) > 2 * CLOSE


def _trained_in_two_processes(folder: Path) -> None:
    """`merged_in_parts.py`, to its end."""
    given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    given |= {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    line = [str(TRAINS), "-m", "tests.reranker.merged_in_parts", str(folder)]
    running = [
        subprocess.Popen(line, cwd=ROOT, env={**os.environ, **given, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    try:
        assert [process.wait(900) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()


def _in_process(kind: Kind, model: Path, prompts: dict[str, list[Prompt]], videos: int = 1) -> dict[str, list[float]]:
    async def scored() -> dict[str, list[float]]:
        process = ModelProcess(kind, ModelOptions(str(model), None, 0, 2048, 0.3, 1, 8, videos=videos))
        try:
            return await _by_video(process.generate, prompts)
        finally:
            await process.close()

    return asyncio.run(scored())


def _served(model: Path, prompts: dict[str, list[Prompt]]) -> dict[str, list[float]]:
    async def scored(url: str) -> dict[str, list[float]]:
        scorer = ServerScorer("classify", NAME, [url], concurrency=2, timeout_s=120, keys=[KeySource(())])
        try:
            return await _by_video(scorer.generate, prompts)
        finally:
            await scorer.close()

    template = str(model / "chat_template.jinja")
    options = ("--hf-overrides", json.dumps(CLASSIFIER), "--chat-template", template, "--no-mm-device-do-normalize")
    with pooling_server(model, *options) as url:
        return asyncio.run(scored(url))


async def _by_video(
    generate: Callable[[Sequence[Prompt]], Awaitable[Any]], prompts: dict[str, list[Prompt]]
) -> dict[str, list[float]]:
    return {video: [_score(each) for each in await generate(asked)] for video, asked in prompts.items()}


def _score(found: object) -> float:
    if isinstance(found, Scored):
        return found.value
    assert isinstance(found, Generated), found
    answer = first_token_answer(found.scores)
    assert answer is not None and answer.token_yes is not None and answer.token_no is not None
    return float(answer.token_yes - answer.token_no)
