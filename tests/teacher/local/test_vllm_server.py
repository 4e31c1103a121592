"""A model that sees, behind a real vLLM server: what is sent to it once, and what it makes of frames as a video.

Needs torch and vllm (`make test-vllm`).
"""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardcut.engine.budget import current_stage
from hardcut.engine.files import sha256_of
from hardcut.media.frames import Frame
from hardcut.schemas.records import Sampling
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.confidence import confidence
from hardcut.teacher.needs import Need
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.server.http import Endpoint

MISSING = [name for name in ("torch", "transformers", "vllm") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}: `make test-vllm`"),
]
QUERIES = 5


@pytest.fixture(scope="module")
def server(model: Path, serve: Callable[..., str]) -> str:
    return serve(model, "--max-model-len", "4096", "--max-num-seqs", "8")


@pytest.fixture
def frames(tmp_path: Path) -> tuple[Frame, ...]:
    from PIL import Image

    draw, found = np.random.default_rng(0), []
    for number in range(4):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(draw.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
        found.append(Frame(path, number / 2, sha256_of(path)))
    return tuple(found)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What goes out to the server."""
    bodies: list[bytes] = []
    post = Endpoint.post

    async def listen(self: Endpoint, path: str, body: bytes, **more: Any) -> bytes:
        bodies.append(body)
        return await post(self, path, body, **more)

    monkeypatch.setattr(Endpoint, "post", listen)
    return bodies


async def test_pictures_are_sent_once_and_judged_alike(
    server: str, inputs: dict[str, Any], frames: tuple[Frame, ...], sent: list[bytes], tmp_path: Path
) -> None:
    current_stage.set("test")
    asked = [
        Request("judge", {**inputs["judge"], "query": f"a bright frame {number}"}, Sampling(reasoning=False), frames)
        for number in range(QUERIES)
    ]
    margins, whole = {}, {}
    for way in ("by name", "whole"):
        told = {"profiles": tmp_path, "needs": [Need("judges", True)]} if way == "by name" else {}
        teacher = open_teacher(TeacherSettings(spec=f"openai:small@{server}"), Resources(), **told)
        try:
            said = await teacher.ping()
            assert way == "whole" or "keeps pictures" in said, said
            sent.clear()
            replies = await teacher.complete(asked)
        finally:
            await teacher.close()
        answered = [reply.answer for reply in replies if isinstance(reply, Reply) and reply.answer]
        assert len(answered) == QUERIES, replies
        margins[way] = [confidence(answer).logit_margin for answer in answered]
        whole[way] = sum(body.count(b"data:image/jpeg;base64") for body in sent)
    assert whole == {"by name": len(frames), "whole": len(frames) * QUERIES}
    assert margins["by name"] == pytest.approx(margins["whole"], abs=1e-3)


TIMES = (0.0, 0.5, 3.0, 9.5)
"""Of frames that are not evenly spaced."""


@pytest.fixture(scope="module")
def trusting(model: Path, serve: Callable[..., str]) -> str:
    """A server that takes options of how media are read from whoever asks."""
    return serve(model, "--max-model-len", "4096", "--max-num-seqs", "8", "--trust-request-mm-kwargs")


def shown(server: str, model: Path, content: list[dict[str, Any]], **options: Any) -> tuple[int, str] | int:
    """Tokens and text of the prompt that the model gets; the status, where the server refuses."""
    from transformers import AutoTokenizer

    body = {"model": "small", "max_tokens": 1, "return_token_ids": True, **options}
    body["messages"] = [{"role": "user", "content": [*content, {"type": "text", "text": "yes or no?"}]}]
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as reply:
            told = json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code
    ids = told["prompt_token_ids"]
    assert len(ids) == told["usage"]["prompt_tokens"]
    return len(ids), AutoTokenizer.from_pretrained(model).decode(ids)


def times(text: str) -> list[float]:
    """What is told before each stretch of pictures."""
    return [float(found) for found in re.findall(r"<([\d.]+) s", text)]


def as_pictures(encoded: list[str]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for time_s, each in zip(TIMES, encoded, strict=True):
        parts.append({"type": "text", "text": f"<{time_s:.1f} s>"})
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{each}"}})
    return parts


def as_video(encoded: list[str]) -> list[dict[str, Any]]:
    return [{"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{','.join(encoded)}"}}]


def test_frames_as_a_video_part_lose_their_times_by_default(
    server: str, model: Path, frames: tuple[Frame, ...]
) -> None:
    """Why frames are sent as pictures (`docs/teachers.md`): vLLM takes the frames of a video part for seconds 0, 1, 2,
    and so on, leaves out all behind the 32nd, and refuses options that would say otherwise."""
    encoded = [base64.b64encode(frame.read()).decode() for frame in frames]
    pictures, video = (shown(server, model, part) for part in (as_pictures(encoded), as_video(encoded)))
    assert isinstance(pictures, tuple) and isinstance(video, tuple)
    print("tokens: pictures", pictures[0], "video part", video[0], "times", times(video[1]))
    assert times(pictures[1]) == list(TIMES)
    assert times(video[1]) == [0.5, 2.5], "two frames at a time, a second apart, whatever their times are"
    assert video[0] < 0.75 * pictures[0], "which is what would be saved"
    many, fewer = (shown(server, model, as_video((encoded * 10)[:count])) for count in (40, 32))
    assert isinstance(many, tuple) and isinstance(fewer, tuple) and many[0] == fewer[0], "eight frames are gone"
    told = {"video": {"fps": 10, "frames_indices": [0, 5, 30, 95], "total_num_frames": 96, "duration": 9.6}}
    assert shown(server, model, as_video(encoded), media_io_kwargs=told) == 400


def test_a_server_that_trusts_whoever_asks_would_have_them_right(
    trusting: str, model: Path, frames: tuple[Frame, ...]
) -> None:
    encoded = [base64.b64encode(frame.read()).decode() for frame in frames]
    options = {"fps": 10, "frames_indices": [0, 5, 30, 95], "total_num_frames": 96, "duration": 9.6, "num_frames": -1}
    found = shown(trusting, model, as_video(encoded), media_io_kwargs={"video": options})
    assert isinstance(found, tuple), found
    print("tokens", found[0], "times", times(found[1]))
    assert times(found[1]) == pytest.approx([0.2, 6.2], abs=0.11), "the middle of each two"
