"""`transformers:`, `vllm:` and `openai:` against a vLLM server, with a tiny model made on the spot: one margin.

Needs torch and vllm (`make test-vllm`); the plain tests leave it out.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from hardcut.engine.budget import current_stage
from hardcut.media.frames import Frame
from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.confidence import confidence, read_answer
from hardcut.teacher.local.generation import ModelOptions, Prompt, prompt_of
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Refusal, Reply, Request, Teacher
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.server.completion import Completion

INSTALLED = {name: importlib.util.find_spec(name) is not None for name in ("torch", "transformers", "vllm")}
needs_torch = pytest.mark.skipif(
    not (INSTALLED["torch"] and INSTALLED["transformers"]), reason="torch and transformers are not installed"
)
needs_vllm = pytest.mark.skipif(not INSTALLED["vllm"], reason="vllm is not installed: `make test-vllm`")
VIDEOS, QUERIES = 5, 10
BACKENDS = [
    pytest.param("transformers", marks=[pytest.mark.torch, needs_torch]),
    pytest.param("vllm", marks=[pytest.mark.vllm, needs_vllm]),
    pytest.param("openai", marks=[pytest.mark.vllm, needs_vllm]),
]
RESOURCES = Resources(max_model_len=4096, gpu_memory=0.3, request_timeout_s=120)


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """vLLM on a CPU, asking nobody."""
    wanted = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="module")
def server(model: Path, environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A vLLM server on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--served-model-name", "tiny", "--max-model-len", "4096", "--enforce-eager"]
    command += ["--limit-mm-per-prompt", '{"image": 4}', "--dtype", "float32", "--max-num-seqs", "16"]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + 240
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


@pytest.fixture(scope="module")
def local(model: Path, environment: None) -> Iterator[dict[str, Teacher]]:
    """The backends whose model has been loaded, so that each is loaded once."""
    opened: dict[str, Teacher] = {}
    yield opened
    for teacher in opened.values():
        asyncio.run(teacher.close())


@pytest.fixture
async def open_backend(
    request: pytest.FixtureRequest, model: Path, local: dict[str, Teacher]
) -> AsyncIterator[Callable[[str], Teacher]]:
    """Opens a backend by its name."""
    current_stage.set("test")
    remote: list[Teacher] = []

    def open_(name: str) -> Teacher:
        spec = f"openai:tiny@{request.getfixturevalue('server')}" if name == "openai" else f"{name}:{model}"
        if name in local:
            return local[name]
        teacher = open_teacher(TeacherSettings(spec=spec, sampling=Sampling(max_frames=4)), RESOURCES)
        if name == "openai":
            remote.append(teacher)
        else:
            local[name] = teacher
        return teacher

    yield open_
    for teacher in remote:
        await teacher.close()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Frame, ...]]:
    """Four frames each; a square moves, in another colour and direction in each."""
    folder = tmp_path_factory.mktemp("frames")
    made = []
    for video in range(VIDEOS):
        frames = []
        for number in range(4):
            picture = Image.new("RGB", (128, 96), (10 * video, 40, 60))
            left = 10 + 20 * (number if video % 2 else 3 - number)
            ImageDraw.Draw(picture).rectangle((left, 20, left + 25, 60), fill=(250 - 40 * video, 20 + 50 * video, 90))
            path = folder / f"{video}-{number}.jpg"
            picture.save(path, quality=90)
            frames.append(Frame(path, number * 1.5, hashlib.sha256(path.read_bytes()).hexdigest()))
        made.append(tuple(frames))
    return made


def judgments(inputs: dict[str, Any], frames: tuple[Frame, ...], sampling: Sampling) -> list[Request]:
    common = {**inputs["judge"], "evidence": inputs["judge"]["evidence"][:2]}
    colours = ("red", "green", "blue", "a", "b")
    queries = [f"{colours[n % 5]} {n * 7} before {colours[n // 2]}" for n in range(QUERIES)]
    return [Request("judge", {**common, "query": query}, sampling, frames) for query in queries]


_margins: dict[tuple[str, bool], list[float]] = {}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("reasoning", [False, True], ids=["one forward pass", "reasoning"])
@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_same_margin_from_every_backend(
    open_backend: Any, videos: list[tuple[Frame, ...]], inputs: dict[str, Any], backend: str, reasoning: bool
) -> None:
    """50 pairs; every margin exact, with the canonical pair beside the sum."""
    teacher = open_backend(backend)
    sampling = Sampling(max_tokens=32, max_frames=4, reasoning=reasoning)
    batches = [judgments(inputs, frames, sampling) for frames in videos]
    outcomes = [each for batch in await asyncio.gather(*map(teacher.complete, batches)) for each in batch]
    margins = []
    for outcome in outcomes:
        assert isinstance(outcome, Reply) and outcome.answer, outcome
        result = confidence(outcome.answer)
        assert result.exact and result.logit_margin is not None
        assert outcome.answer.token_yes is not None and outcome.answer.token_no is not None
        assert outcome.answer.token_yes <= (outcome.answer.logprob_yes or 0.0) + 1e-6
        read = read_answer(outcome.text)
        assert read and read.verdict == outcome.answer.verdict
        assert bool(outcome.reasoning) == reasoning
        margins.append(result.logit_margin)
    assert len(margins) == VIDEOS * QUERIES and len(set(margins)) > 10, "the pictures and queries count"
    _margins[backend, reasoning] = margins
    for (other, mode), theirs in _margins.items():
        if mode == reasoning:
            furthest = max(abs(a - b) for a, b in zip(margins, theirs, strict=True))
            print(f"{backend} and {other}, reasoning {reasoning}: margins within {furthest:.5f}")
            assert furthest < 0.1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_judge_that_is_cut_answers_when_told_to_and_a_cut_caption_is_refused_with_its_text(
    open_backend: Any, videos: list[tuple[Frame, ...]], inputs: dict[str, Any], backend: str
) -> None:
    teacher = open_backend(backend)
    (cut,) = await teacher.complete(judgments(inputs, videos[0], Sampling(max_tokens=2, max_frames=4))[:1])
    assert isinstance(cut, Reply) and cut.answer is not None, cut
    request = Request("caption", inputs["caption"], Sampling(max_tokens=8, max_frames=4), videos[0], CaptionReply)
    (broken,) = await teacher.complete([request])
    assert isinstance(broken, Refusal) and broken.reason in ("truncated", "invalid_reply") and broken.raw


@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", BACKENDS[:2])
async def test_samples_differ_by_their_seed_alone(
    open_backend: Any, videos: list[tuple[Frame, ...]], inputs: dict[str, Any], backend: str
) -> None:
    teacher = open_backend(backend)
    hot = [Sampling(max_tokens=24, max_frames=4, temperature=2.0, seed=seed) for seed in (1, 2)]
    first, second = [await teacher.complete(judgments(inputs, videos[0], sampling)[:3]) for sampling in hot]
    texts = [getattr(each, "text", None) or getattr(each, "raw", None) for each in (*first, *second)]
    assert texts[:3] != texts[3:]


@pytest.fixture(scope="module")
def generator(model: Path) -> Any:
    """The model in this process, to look inside."""
    pytest.importorskip("torch")
    from hardcut.teacher.local.transformers_model import TransformersGenerator

    return TransformersGenerator(ModelOptions(str(model), None, 4, None, 0.9, 1, batch=4))


def answers(generator: Any, prompts: Sequence[Prompt]) -> list[Any]:
    found = dict(generator.generate(prompts))
    return [found[at] for at in range(len(prompts))]


def prompts_of(requests: Sequence[Request]) -> list[Prompt]:
    prompts = Prompts()
    return [prompt_of(request, prompts.fill(request)) for request in requests]


@pytest.mark.torch
@needs_torch
@pytest.mark.timeout(300)
def test_margins_are_of_the_bare_logits(
    generator: Any, model: Path, videos: list[tuple[Frame, ...]], inputs: dict[str, Any]
) -> None:
    """Whatever `generation_config.json` says: asked of the model by hand, token by token, it says and scores the
    same."""
    import torch

    assert json.loads((model / "generation_config.json").read_text())["repetition_penalty"] == 1.3
    prompts = prompts_of(judgments(inputs, videos[0], Sampling(max_frames=4, max_tokens=24))[:4])
    processor, tokenizer = generator._processor, generator._tokenizer
    for prompt, answer in zip(prompts, answers(generator, prompts), strict=True):
        asked = processor.apply_chat_template(
            prompt.messages([{"type": "image"}] * 4, tokenizer), tokenize=False, add_generation_prompt=True
        )
        pictures = [Image.open(path) for _, path in prompt.pictures]
        written, scored = "", []
        for score in answer.scores:
            given = processor(text=asked + written, images=pictures, return_tensors="pt")
            with torch.inference_mode():
                logprobs = generator._model(**given).logits[0, -1].float().log_softmax(-1)
            best = int(logprobs.argmax())
            assert tokenizer.decode([best]).encode() == score.token, "greedy, by the bare logits"
            assert score.logprob == pytest.approx(float(logprobs[best]), abs=1e-3)
            for word, value in score.top:
                if len(ids := tokenizer.encode(word.decode(), add_special_tokens=False)) == 1:
                    assert value == pytest.approx(float(logprobs[ids[0]]), abs=1e-3)
                    scored.append(word)
            written += score.token.decode()
        assert {b"yes", b"no"} <= set(scored), "the answer's place was among them"


@pytest.mark.torch
@needs_torch
@pytest.mark.timeout(300)
def test_ten_judgments_on_a_video_encode_it_once(
    generator: Any, videos: list[tuple[Frame, ...]], inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In three passes of four at most, with the scores of prompts that share nothing."""
    sampling = Sampling(max_frames=4, reasoning=False)
    prompts = prompts_of([*judgments(inputs, videos[0], sampling), *judgments(inputs, videos[1], sampling)[:1]])
    encoded: list[int] = []
    generator._model.model.visual.register_forward_hook(lambda *_: encoded.append(1))
    together = answers(generator, prompts)
    assert len(encoded) == 2
    monkeypatch.setattr(generator, "_shares", False)
    apart = [answers(generator, [prompt])[0] for prompt in prompts]
    assert len(encoded) == 2 + 11
    for one, other in zip(together, apart, strict=True):
        assert dict(one.scores[0].top) == pytest.approx(dict(other.scores[0].top), abs=1e-4)
        assert one.tokens.prompt == other.tokens.prompt
    cached = [each.tokens.cached for each in together]
    assert cached[0] == cached[10] == 0 and len(set(cached[1:10])) == 1
    assert cached[1] > 0.9 * together[1].tokens.prompt, "evidence and caption are shared, too"


@pytest.mark.torch
@needs_torch
@pytest.mark.parametrize("given", [4, 2, 1])
def test_the_next_video_is_made_ready_while_the_model_works(
    generator: Any, videos: list[tuple[Frame, ...]], inputs: dict[str, Any], given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is asked about only then. And one whose frame is gone costs its own questions only."""
    sampling = Sampling(max_frames=4, reasoning=False)
    gone = (replace(videos[1][0], path=videos[1][0].path.with_name("gone.jpg")), *videos[1][1:])
    prompts = prompts_of([judgments(inputs, frames, sampling)[0] for frames in (videos[0], gone, videos[2], videos[3])])
    begun = [threading.Event() for _ in prompts]
    prepare, answer = generator._prepare, generator._answer

    def number(batch: Sequence[Prompt]) -> int:
        return next(at for at, prompt in enumerate(prompts) if prompt is batch[0])

    def preparing(batch: Sequence[Prompt]) -> Any:
        begun[number(batch)].set()
        return prepare(batch)

    def answering(batch: Sequence[Prompt], ready: Any) -> Any:
        at = number(batch)
        assert at + 1 == len(prompts) or begun[at + 1].wait(10), "not made ready meanwhile"
        assert not any(each.is_set() for each in begun[at + 2 :]), "no more than one waits: media are large"
        return answer(batch, ready)

    monkeypatch.setattr(generator, "_prepare", preparing)
    monkeypatch.setattr(generator, "_answer", answering)
    later = iter(prompts[given:])
    found = dict(generator.generate(prompts[:given], lambda: list(islice(later, 1))))
    kinds = [type(found[at]).__name__ for at in range(len(prompts))]
    assert kinds == ["Generated", "GenerationFailed", "Generated", "Generated"]


@pytest.mark.torch
@needs_torch
@pytest.mark.parametrize("reasoning", [False, True])
def test_a_batch_that_the_memory_is_too_small_for_is_halved(
    generator: Any,
    videos: list[tuple[Frame, ...]],
    inputs: dict[str, Any],
    reasoning: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import torch

    large = Request("judge", {**inputs["judge"], "query": "large"}, Sampling(reasoning=reasoning), videos[0])
    prompts = prompts_of([*judgments(inputs, videos[0], Sampling(reasoning=reasoning))[:6], large])
    expected = answers(generator, prompts)
    answer = generator._answer

    def answering(batch: Sequence[Prompt], ready: Any) -> Any:
        if len(batch) > 2 or any(each is prompts[6] for each in batch):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return answer(batch, ready)

    monkeypatch.setattr(generator, "_answer", answering)
    monkeypatch.setattr(generator, "_halved", False)
    *made, failed = answers(generator, prompts)
    assert failed.reason == "out_of_memory" and "CUDA out of memory: fewer frames" in failed.detail
    assert [each.scores[-1].token for each in made] == [each.scores[-1].token for each in expected[:6]]
    for here, there in zip(made, expected, strict=False):
        assert here.text == there.text
        assert [score for _, score in here.scores[0].top] == pytest.approx(
            [score for _, score in there.scores[0].top], abs=1e-3
        )
    assert caplog.text.count("resources.batch") == 1


@pytest.mark.torch
@needs_torch
@pytest.mark.timeout(300)
def test_a_model_of_another_family(tmp_path: Path, videos: list[tuple[Frame, ...]], inputs: dict[str, Any]) -> None:
    """LLaVA: nothing to share a prefix by, so prompts go in padded batches; the scores are those of the model itself,
    asked by hand."""
    import torch

    from hardcut.teacher.local.transformers_model import TransformersGenerator

    program = Path(__file__).parents[2] / "tiny_llava.py"
    subprocess.run([sys.executable, program, tmp_path / "llava"], check=True, capture_output=True, timeout=250)
    generator = TransformersGenerator(ModelOptions(str(tmp_path / "llava"), None, 4, None, 0.9, 1, batch=4))
    sampling = Sampling(max_frames=4, reasoning=False)
    prompts = prompts_of([each for frames in videos[:2] for each in judgments(inputs, frames, sampling)[:3]])
    told = [dict(each.scores[0].top) for each in answers(generator, prompts)]
    processor, tokenizer = generator._processor, generator._tokenizer
    for prompt, top in zip(prompts, told, strict=True):
        asked = processor.apply_chat_template(
            prompt.messages([{"type": "image"}] * 4, None), tokenize=False, continue_final_message=True
        )
        assert asked.endswith("ASSISTANT: <answer>") and asked.count("<image>") == 4
        pictures = [Image.open(path) for _, path in prompt.pictures]
        with torch.inference_mode():
            logits = generator._model(**processor(text=asked, images=pictures, return_tensors="pt")).logits[0, -1]
        logprobs = logits.log_softmax(-1)
        for word in ("yes", "no"):
            assert top[word.encode()] == pytest.approx(float(logprobs[tokenizer.convert_tokens_to_ids(word)]), abs=1e-3)
    assert len({top[b"yes"] for top in told}) == 6, "the pictures and queries count"


@pytest.mark.vllm
@needs_vllm
@pytest.mark.timeout(600)
async def test_what_the_engine_refuses_costs_only_itself(
    open_backend: Any, videos: list[tuple[Frame, ...]], inputs: dict[str, Any]
) -> None:
    too_hot = Sampling(max_tokens=4, max_frames=4, temperature=9.0, reasoning=False)
    good = Sampling(max_frames=4, reasoning=False)
    requests = judgments(inputs, videos[0], good)
    requests[6] = replace(requests[6], sampling=too_hot)
    outcomes = await open_backend("vllm").complete(requests)
    assert [type(outcome) for outcome in outcomes] == [Reply] * 6 + [Refusal] + [Reply] * 3
    assert outcomes[6].reason == "refused" and "temperature" in outcomes[6].detail


@pytest.mark.vllm
@needs_vllm
def test_vllm_calls_thoughts_what_is_read_as_such() -> None:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatMessage

    message = ChatMessage(role="assistant", content="<answer>no</answer>", reasoning="It shows a train.")
    data = f'{{"choices": [{{"message": {message.model_dump_json()}}}]}}'
    assert Completion.read(data.encode()).reasoning() == "It shows a train."


@pytest.mark.torch
@needs_torch
async def test_a_folder_that_is_no_model_ends_the_run_with_one_line(tmp_path: Path, inputs: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard of"}))
    current_stage.set("test")
    teacher = open_teacher(TeacherSettings(spec=f"transformers:{tmp_path}"), RESOURCES)
    with pytest.raises(UsageError, match="cannot be loaded"):
        await teacher.complete(judgments(inputs, (), Sampling())[:1])
    await teacher.close()


@pytest.mark.skipif(INSTALLED["transformers"], reason="transformers is installed")
async def test_without_its_package_a_backend_says_which_extra_brings_it(inputs: dict[str, Any]) -> None:
    current_stage.set("test")
    for name in ("transformers", "vllm"):
        teacher = open_teacher(TeacherSettings(spec=f"{name}:some/model"), RESOURCES)
        with pytest.raises(MissingDependency, match=rf'pip install "hardcut\[{name}\]"'):
            await teacher.ping()
        with pytest.raises(MissingDependency, match=rf'pip install "hardcut\[{name}\]"'):
            await teacher.complete(judgments(inputs, (), Sampling())[:1])
        await teacher.close()
