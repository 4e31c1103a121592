"""A reranker's pairs in vLLM: the prompt and the scores of transformers, the prefix found in its cache.

Needs torch and vllm (`make test-vllm`); the plain tests leave it out.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.teacher.confidence import first_token_answer
from hardcut.teacher.local.generation import Generated, ModelOptions, pair_prompt
from hardcut.teacher.local.process import Kind, ModelProcess

INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "transformers", "vllm"))
PROGRAM = """
import sys
from pathlib import Path
from hardcut.reranker.tiny import Size, build
texts = [f"a red square moves {way}. Does the video answer the query?" for way in ("left", "right")] * 20
build(Path(sys.argv[1]), texts, Size())
"""


@pytest.mark.vllm
@pytest.mark.skipif(not INSTALLED, reason="torch and vllm are not installed: `make test-vllm`")
def test_vllm_scores_pairs_as_transformers_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    for name, value in {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "2",
    }.items():
        monkeypatch.setenv(name, value)
    model = tmp_path / "model"
    subprocess.run([sys.executable, "-c", PROGRAM, str(model)], check=True, capture_output=True, timeout=280)
    draw = np.random.default_rng(0)
    frames = []
    for number in range(6):
        Image.fromarray(draw.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(tmp_path / f"{number}.jpg")
        frames.append((tmp_path / f"{number}.jpg", number / 2))
    prompts = [pair_prompt(f"a red square moves {way}", tuple(frames)) for way in ("left", "right", "left <b>")]

    async def scored(kind: Kind) -> list[Any]:
        process = ModelProcess(kind, ModelOptions(str(model), None, 0, 2048, 0.3, 1, 8, videos=1))
        try:
            return list(await process.generate(prompts))
        finally:
            await process.close()

    found = {kind: asyncio.run(scored(kind)) for kind in ("transformers", "vllm")}  # type: ignore[arg-type]
    assert all(isinstance(each, Generated) for of in found.values() for each in of), found
    margins = {}
    for kind, of in found.items():
        answers = [first_token_answer(each.scores) for each in of]
        margins[kind] = [a.token_yes - a.token_no for a in answers if a and a.token_yes and a.token_no]
    assert len(margins["vllm"]) == 3
    assert margins["vllm"] == pytest.approx(margins["transformers"], abs=2e-2), "bfloat16 against float32 at most"
    assert [each.tokens.prompt for each in found["vllm"]] == [each.tokens.prompt for each in found["transformers"]]
