"""vLLM's pooling runner makes the vectors of a saved folder: its prompt and its pooling.

Needs torch and vllm (`make test-vllm`); the plain tests leave it out.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.embedder.encoders import Shown
from hardcut.embedder.server import ServerEncoder
from hardcut.teacher.local.pair_prompt import read_clip, video_inputs
from hardcut.teacher.server.keys import KeySource
from tests.vllm_server import NAME, SETTINGS, pooling_server

INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "vllm"))
MODULES = [
    ("", "sentence_transformers.base.modules.transformer.Transformer"),
    ("1_Pooling", "sentence_transformers.sentence_transformer.modules.pooling.Pooling"),
    ("2_Normalize", "sentence_transformers.base.modules.normalize.Normalize"),
]
"""The modules of a folder as sentence-transformers 6.2 writes it, which this environment does not have."""
PROGRAM = """
import json, sys
from pathlib import Path
from hardcut.embedder.prompt import add_one_word
from hardcut.reranker.tiny import Size, make
folder = Path(sys.argv[1])
model, processor = make([f"a red square moves {way}" for way in ("left", "right")] * 20, Size())
add_one_word(processor, sees=True)
model.save_pretrained(folder)
processor.save_pretrained(folder)
"""


ROOT = Path(__file__).parents[2]
TRAINS = ROOT / os.environ.get("VENV_TRAIN", ".venv-train") / "bin" / "python"
"""The environment that trains (`make test-train`)."""


@pytest.fixture
def frames(tmp_path: Path) -> list[tuple[Path, float]]:
    from PIL import Image

    draw, found = np.random.default_rng(0), []
    for number in range(6):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(draw.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
        found.append((path, number * 0.7))
    return found


def items_of(frames: list[tuple[Path, float]]) -> list[Shown]:
    """A text, a video, and an edit of the video."""
    clip, stored = read_clip(frames), tuple(path for path, _ in frames)
    return [Shown("a red square moves left"), Shown(None, clip, stored), Shown("in reverse", clip, stored)]


@pytest.mark.vllm
@pytest.mark.timeout(900)
@pytest.mark.skipif(not INSTALLED, reason="torch and vllm are not installed: `make test-vllm`")
def test_a_pooling_server_makes_the_vectors_of_the_folder(tmp_path: Path, frames: list[tuple[Path, float]]) -> None:
    model = tmp_path / "model"
    subprocess.run([sys.executable, "-c", PROGRAM, str(model)], check=True, capture_output=True, timeout=280)
    listed = [{"idx": at, "name": str(at), "path": path, "type": kind} for at, (path, kind) in enumerate(MODULES)]
    (model / "modules.json").write_text(json.dumps(listed))
    (model / "1_Pooling").mkdir()
    pooling = {"embedding_dimension": 64, "pooling_mode": "lasttoken", "include_prompt": True}
    (model / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    found, wanted = _served(model, items_of(frames)), _by_hand(model, items_of(frames))
    assert np.abs(found - wanted).max() < 1e-4 and (found * wanted).sum(1).min() > 0.99999
    assert float(wanted[0] @ wanted[1]) < 0.9  # they are not all the same


@pytest.mark.vllm
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not INSTALLED, reason="torch and vllm are not installed: `make test-vllm`")
@pytest.mark.skipif(not TRAINS.exists(), reason="nothing here trains: `make test-train`")
@pytest.mark.parametrize("way", ["full", "lora", "qlora", "videos"])
def test_a_trained_folder_gives_the_vectors_of_sentence_transformers(
    tmp_path: Path, frames: list[tuple[Path, float]], way: str
) -> None:
    (tmp_path / "frames.json").write_text(json.dumps([[str(path), time] for path, time in frames]))
    line = [str(TRAINS), "-m", "tests.embedder.three_steps", str(tmp_path), way]
    trained = subprocess.run(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}, timeout=800)
    assert trained.returncode == 0
    found, wanted = _served(tmp_path / way, items_of(frames)), np.load(tmp_path / f"{way}.npy")
    assert np.abs(found - wanted).max() < 1e-4 and (found * wanted).sum(1).min() > 0.9999


def _served(model: Path, items: list[Shown]) -> Any:
    """The vectors that a server makes of them."""
    with pooling_server(model, env={**os.environ, **SETTINGS}) as url:
        encoder = ServerEncoder(NAME, url, "pooling", concurrency=2, timeout_s=120, key=KeySource(()))
        found = encoder.encode(items, "query")
        encoder.close()
    return found


def _by_hand(model: Path, items: list[Shown]) -> Any:
    """Through transformers alone: the last hidden state of the last token of the saved template, at length 1."""
    import torch
    from transformers import AutoModel, AutoProcessor

    network, processor = AutoModel.from_pretrained(model).eval(), AutoProcessor.from_pretrained(model)
    made = []
    for item in items:
        content = [{"type": "video"}] * (item.clip is not None)
        content += [{"type": "text", "text": item.text}] if item.text else []
        text = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
        given = (
            video_inputs(processor, [text], [item.clip]) if item.clip else processor(text=[text], return_tensors="pt")
        )
        with torch.no_grad():
            last = network(**given).last_hidden_state[0, -1]
        made.append(torch.nn.functional.normalize(last, dim=0).numpy())
    return np.stack(made)
