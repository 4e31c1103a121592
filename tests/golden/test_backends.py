"""No backend changes what it sends, how it reads a reply, or a key, without counting up its version.

Models' backends are asked with prompts and a reply model of the test's own: ours are part of the keys by themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hardcut.media.frames import Frame
from hardcut.media.readers import open_samples
from hardcut.media.store import SAMPLER_VERSION
from hardcut.schemas.records import Sampling, Tokens
from hardcut.schemas.settings import MediaSettings
from hardcut.teacher import function, registry
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.confidence import TokenScore
from hardcut.teacher.local import teacher as local
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt
from hardcut.teacher.prompts import reply_models
from hardcut.teacher.prompts.render import Rendered
from hardcut.teacher.protocol import Answer, Outcome, Reply, Request
from hardcut.teacher.rules import teacher as rules
from hardcut.teacher.server import openai


class Said(BaseModel):
    """What a model's reply must fit."""

    text: str
    words: list[str] = []


class Prompts:
    """A prompt that never changes."""

    def digest(self, task: str) -> str:
        return "0" * 64

    def fill(self, request: Request) -> Rendered:
        return Rendered("A system text.", f"Please {request.task}: é 中")


@pytest.fixture
def requests(inputs: Path) -> list[Request]:
    """One of each form: structured, a judge who reasons, one who does not, with a reference, by chance."""
    folder = inputs / "frames" / "order-01-a"
    frames = tuple(
        Frame(path, number / 2, hashlib.sha256(path.read_bytes()).hexdigest())
        for number, path in enumerate(sorted(folder.glob("*.jpg"))[:4])
    )
    return [
        Request("caption", {}, Sampling(), frames[:2], Said),
        Request("judge", {}, _but(reasoning=True), frames[:2]),
        Request("judge", {}, _but(reasoning=False), frames[:2]),
        Request("judge", {}, Sampling(), frames[:2], reference=frames[2:]),
        Request("queries", {}, _but(temperature=0.7, seed=3, max_tokens=99), reply=Said),
    ]


def _but(**changed: Any) -> Sampling:
    """The default sampling with these changes."""
    return Sampling().model_copy(update=changed)


def told(outcome: Outcome) -> dict[str, Any]:
    """What came of a request, without who answered."""
    if not isinstance(outcome, Reply):
        return {"refused": outcome.reason}
    found = {"text": outcome.text, "reasoning": outcome.reasoning}
    if outcome.parsed:
        found["parsed"] = outcome.parsed.model_dump_json(exclude_defaults=True)
    return {**found, **({"answer": asdict(outcome.answer)} if outcome.answer else {})}


def shortened(value: Any) -> Any:
    """Pictures by their digest."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shortened(each) for each in value]
    if isinstance(value, Path):
        return value.name
    return hashlib.sha256(value.encode()).hexdigest()[:12] if str(value).startswith("data:image") else value


def test_every_backend_is_held() -> None:
    held = {"evidence", "function", "openai", "transformers", "vllm"}
    assert set(registry._BACKENDS) == held, "a new backend needs a golden result here"


async def test_evidence(hold: Any) -> None:
    found = []
    for each in json.loads(Path(__file__).with_name("requests.json").read_text()):
        reply = getattr(reply_models, each["reply"]) if each["reply"] else None
        (outcome,) = await rules.EvidenceTeacher().complete(
            [Request(each["task"], each["inputs"], Sampling(), (), reply)]
        )
        found.append({"task": each["task"], **told(outcome)})
    hold("backends/evidence", rules.VERSION, found)


SERVED = {
    "caption": [
        '{"text": "plain", "words": ["a"]}',
        '```json\n{"text": "fenced"}\n```',
        '<think>hm</think>{"text": ""}',
        "{",
    ],
    "judge": ["I see it. <answer>yes</answer>", "It is not. <answer>no</answer>", "I cannot say."],
}


async def test_openai(requests: list[Request], teacher_server: Any, hold: Any) -> None:
    made: Any = Prompts()
    teacher = openai.OpenAITeacher("some/model", "http://host/v1", prompts=made)
    keys = [question.key for question in teacher.prepare(requests)]
    await teacher.close()
    sent, read = [], []
    for number in range(max(map(len, SERVED.values()))):
        said = {task: texts[number % len(texts)] for task, texts in SERVED.items()}
        teacher_server.answer = lambda body, said=said: said["caption" if "response_format" in body else "judge"]
        teacher = openai.OpenAITeacher("some/model", teacher_server.url, prompts=made, attempts=1)
        for request in requests:
            read.append(told((await CachedTeacher(teacher).complete([request]))[0]))
        await teacher.close()
    for body in teacher_server.bodies:
        if shortened(body) not in sent:
            sent.append(shortened(body))
    hold("backends/openai", openai.VERSION, {"keys": keys, "sent": sent, "read": read})


class Scripted:
    """In place of a model's process: says what it is told to, and keeps what it was asked."""

    def __init__(self, results: Sequence[Generated | GenerationFailed]) -> None:
        self.results = list(results)
        self.asked: list[Prompt] = []

    async def generate(self, prompts: Sequence[Prompt]) -> list[Generated | GenerationFailed]:
        self.asked += prompts
        return [self.results[number % len(self.results)] for number in range(len(prompts))]

    async def close(self) -> None: ...


def scored(text: str, margin: float) -> Generated:
    """A text whose every token shows yes and no."""
    shown = ((b"yes", -1.0), (b"no", -1.0 - margin))
    scores = tuple(
        TokenScore(part.encode(), -0.1, shown) for part in text.replace(">", "> ").replace("<", " <").split()
    )
    return Generated(text, "stop", Tokens(prompt=5, completion=3), scores)


@pytest.mark.parametrize("kind", ["transformers", "vllm"])
async def test_models_in_process(kind: Any, requests: list[Request], hold: Any) -> None:
    options = ModelOptions("some/model", None, 32, None, 0.9, 1, 8)
    made: Any = Prompts()
    results = [
        Generated('{"text": "plain"}', "stop", Tokens()),
        Generated('{"text": "cut', "length", Tokens()),
        GenerationFailed("too_long", "more than the model takes"),
        scored("I see it. <answer>yes</answer>", 2.0),
        scored("It is not. <answer>no</answer>", -3.5),
        scored("yes", 1.0),
    ]
    found: dict[str, Any] = {"sent": [], "read": []}
    for result in results:
        teacher = local.LocalTeacher(kind, options, made)
        process: Any = Scripted([result])
        teacher._process = process
        found["keys"] = [question.key for question in teacher.prepare(requests)]
        found["read"] += [told(outcome) for outcome in await CachedTeacher(teacher).complete(requests)]
        for prompt in process.asked:
            content = shortened({**asdict(prompt), "sampling": prompt.sampling.model_dump()})
            assert content.pop("reference") in ((), []), "of a reranker's pairs alone"
            if content not in found["sent"]:
                found["sent"].append(content)
    hold(f"backends/{kind}", local.VERSIONS[kind], found)


async def test_function(requests: list[Request], hold: Any) -> None:
    made: Any = Prompts()
    said = [
        True,
        False,
        2.5,
        "yes",
        {"text": "a mapping"},
        '{"text": "json"}',
        Said(text="a model"),
        Answer("no", -2.0, -0.1),
    ]
    found: dict[str, Any] = {"read": []}
    for each in said:
        function.register("golden", lambda asked, each=each: each)
        teacher = function.FunctionTeacher("golden", None, made)
        found["keys"] = [question.key for question in teacher.prepare(requests)]
        found["read"] += [told(outcome) for outcome in await CachedTeacher(teacher).complete(requests)]
    hold("backends/function", function.VERSION, found)


def test_the_sampler(inputs: Path, hold: Any) -> None:
    """Which pictures of a clip are stored; their colours to what decoders may differ by."""
    settings = MediaSettings(fps=2.0, max_frames=8, max_pixels=12000)
    samples = open_samples(str(inputs / "clips" / "door-01-a.mp4"), settings)
    found = [
        {
            "time_s": round(sample.time_s, 6),
            "shape": sample.image.shape,
            "colour": sample.image.mean(axis=(0, 1)).tolist(),
        }
        for sample in samples
    ]
    hold("sampler", SAMPLER_VERSION, {"frames": found, "duration_s": samples.duration_s}, tolerance=0.02)
