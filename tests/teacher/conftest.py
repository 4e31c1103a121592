"""Inputs of each task, as the stages make them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hardcut.teacher.prompts.reply_models import (
    CaptionReply,
    CheckReply,
    ComposeReply,
    ContrastReply,
    CounterfactualReply,
    DecomposeReply,
    ParaphraseReply,
    QueriesReply,
    RefineReply,
    SameReply,
    TranslateReply,
)
from hardcut.teacher.protocol import Task

SHIFTING = {"repetition_penalty": 1.3, "temperature": 0.3, "top_k": 3, "top_p": 0.5, "min_p": 0.1}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3-VL that reasons and answers, with defaults of how to generate that would shift its answers: no
    backend may use them. Needs torch and transformers."""
    folder = tmp_path_factory.mktemp("tiny") / "qwen3vl"
    program = Path(__file__).parents[1] / "tiny_model.py"
    subprocess.run([sys.executable, program, folder], check=True, capture_output=True, timeout=500)
    defaults = folder / "generation_config.json"
    own = json.loads(defaults.read_text())
    defaults.write_text(json.dumps({**own, "do_sample": True, **SHIFTING}))
    return folder


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts vLLM on loopback with the model of a folder, and gives its address: `serve(folder, *options)`. It goes by
    the name `small`. Needs vllm."""
    with ExitStack() as stack:
        yield lambda model, *options: stack.enter_context(_served(model, tmp_path_factory.mktemp("vllm"), options))


@contextmanager
def _served(model: Path, folder: Path, options: Sequence[str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "small", "--enforce-eager", *options]
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **own})
    try:
        until = time.monotonic() + 900
        while True:
            assert process.poll() is None and time.monotonic() < until, log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def structured() -> dict[Task, type[BaseModel]]:
    """The tasks that are answered in JSON, with what the answer must fit."""
    return {
        "caption": CaptionReply,
        "check": CheckReply,
        "refine": RefineReply,
        "queries": QueriesReply,
        "compose": ComposeReply,
        "paraphrase": ParaphraseReply,
        "translate": TranslateReply,
        "contrast": ContrastReply,
        "same": SameReply,
        "decompose": DecomposeReply,
        "counterfactual": CounterfactualReply,
    }


@pytest.fixture
def evidence() -> list[dict[str, Any]]:
    """What was found in one video of 20 s, sorted by start, kind, id."""

    def line(id: str, kind: str, text: str, start: float | None, end: float | None) -> dict[str, Any]:
        return {"id": id, "kind": kind, "text": text, "start": start, "end": end, "confidence": 0.9}

    return [
        line("e_shot1", "shot", "shot 1 of 2", 0.0, 9.0),
        line("e_ocr1", "ocr", "Grand Hotel", 1.0, 4.0),
        line("e_say1", "speech", "please follow me to the garden", 5.0, 8.0),
        line("e_shot2", "shot", "shot 2 of 2", 9.0, 20.0),
        line("e_ocr2", "ocr", "Platform 9", 10.0, 14.0),
        line("e_say2", "speech", "the train to Vienna leaves at noon", 11.0, 15.0),
        line("e_meta", "metadata", "title: A Short Trip to Austria", None, None),
    ]


@pytest.fixture
def inputs(evidence: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The inputs of each task about that video."""
    common = {"video": {"duration_s": 20.0}, "evidence": evidence}
    claims = [
        {"text": 'The text "Grand Hotel" can be read', "start": 1.0, "end": 4.0, "evidence": ["e_ocr1"]},
        {"text": "A person waves at a train", "start": 11.0, "end": 15.0, "evidence": []},
    ]
    numbered = [{**claim, "number": number, "problem": ""} for number, claim in enumerate(claims, 1)]
    asked = [{"number": 1, "text": 'the text "grand hotel" appears before a sign reads "platform 9"', "language": "en"}]
    return {
        "caption": {**common, "max_words": 120},
        "queries": {
            **common,
            "caption": "A trip.",
            "claims": claims,
            "views": ["caption", "speech", "ocr", "metadata", "all"],
            "view": "all",
            "kinds": ["event", "temporal", "multi_hop"],
            "per_view": 1,
            "max_words": 40,
            "forms": [],
            "written": [],
        },
        "check": {**common, "claims": numbered},
        "refine": {**common, "claims": numbered[1:]},
        "compose": {
            **common,
            "caption": "A trip.",
            "claims": claims,
            "reference": "Another trip.",
            "relation": "edit",
            "differences": [{"here": claims[0]["text"], "there": 'The text "Small Inn" can be read'}],
            "max_words": 40,
        },
        "paraphrase": {"queries": asked, "count": 1, "max_words": 40},
        "translate": {"queries": asked, "language": "de"},
        "decompose": {"queries": asked},
        "contrast": {"text": "A man leaves the Grand Hotel", "nuances": ["temporal", "composed"], "max_words": 30},
        "same": {"pairs": [{"number": 1, "first": asked[0]["text"], "second": "platform 9 after grand hotel"}]},
        "counterfactual": {
            **common,
            "caption": "A trip.",
            "query": asked[0]["text"],
            "language": "en",
            "kind": "temporal",
            "facets": [
                {"text": "grand hotel", "modality": "ocr", "start": 1.0, "end": 4.0},
                {"text": "platform 9", "modality": "ocr", "start": 10.0, "end": 14.0},
            ],
            "variants": ["facet_changed", "negated", "reversed"],
            "elsewhere": [{"text": "platform 4", "modality": "ocr"}],
            "written": [],
            "rejected": [{"variant": "reversed", "text": "a garden", "reason": "the video answers it"}],
            "max_words": 40,
        },
        "judge": {**common, "query": "a hotel before a train", "caption": "A trip."},
    }
