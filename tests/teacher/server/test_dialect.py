"""Servers that speak the same API differently, each by the words of its own refusals: a question is answered, or the
run ends before anything is paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.confidence import confidence
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.server.dialect import FIRST_GUESS, Dialect, learned
from hardcut.teacher.server.openai import OpenAITeacher

Body = dict[str, Any]
Refuses = Callable[[Body], str | None]
OURS = ("repetition_penalty", "top_k", "min_p")


def _parts(body: Body) -> bool:
    return any(isinstance(message["content"], list) for message in body["messages"])


def _openai(body: Body) -> str | None:
    unknown = next((name for name in OURS if name in body), None)
    return f"Unrecognized request argument supplied: {unknown}" if unknown else None


def _openai_reasoning(body: Body) -> str | None:
    if "max_tokens" in body:
        return (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    if body.get("temperature", 1) != 1:
        return "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
    if "stop" in body:
        return "Unsupported parameter: 'stop' is not supported with this model."
    if "logprobs" in body:
        return "logprobs are not supported with reasoning models."
    return _openai(body)


def _azure(body: Body) -> str | None:
    if body.get("top_logprobs", 0) > 5:
        return "Invalid value for 'top_logprobs': must be less than or equal to 5."
    if "seed" in body:
        return "Unrecognized request argument supplied: seed"
    return _openai(body)


def _llama_cpp(body: Body) -> str | None:
    if _parts(body):
        return 'Unsupported content: "content" must be a string'
    return None


def _ollama(body: Body) -> str | None:
    if body.get("response_format", {}).get("type") == "json_schema":
        return "invalid response_format: json_schema is not supported, use json_object"
    return None


def _litellm(body: Body) -> str | None:
    unknown = next((name for name in (*OURS, "seed") if name in body), None)
    return f"litellm.UnsupportedParamsError: vllm does not support parameters: ['{unknown}']" if unknown else None


def _gemini(body: Body) -> str | None:
    unknown = next((name for name in (*OURS, "seed", "logprobs") if name in body), None)
    return f'Invalid JSON payload received. Unknown name "{unknown}": Cannot find field.' if unknown else None


def _sglang(body: Body) -> str | None:
    if any(message["role"] == "system" for message in body["messages"]):
        return "System role not supported"
    return None


SERVERS: dict[str, Refuses] = {
    "openai": _openai,
    "openai reasoning": _openai_reasoning,
    "azure": _azure,
    "llama.cpp": _llama_cpp,
    "ollama": _ollama,
    "litellm": _litellm,
    "gemini": _gemini,
    "sglang": _sglang,
    "vllm": lambda body: None,
}
WITHOUT_LOGPROBS = {"openai reasoning", "gemini"}


def writing(inputs: dict[str, Any], video: int) -> Request:
    return Request("caption", {**inputs["caption"], "max_words": 100 + video}, Sampling(), reply=CaptionReply)


def judging(inputs: dict[str, Any], video: int) -> Request:
    query = f'"grand hotel" before "train" {video}'
    return Request("judge", {**inputs["judge"], "query": query}, Sampling())


@pytest.mark.parametrize("name", SERVERS)
async def test_every_server_is_asked_as_it_wants(teacher_server: Any, inputs: dict[str, Any], name: str) -> None:
    """Captions of three videos, then judgments; or it is told that there are none before one is paid for."""
    teacher_server.refuses = SERVERS[name]
    teacher = OpenAITeacher("some/model", teacher_server.url)
    try:
        for video in range(3):
            (written,) = await CachedTeacher(teacher).complete([writing(inputs, video)])
            assert isinstance(written, Reply) and isinstance(written.parsed, CaptionReply)
        served = teacher_server.total_served
        assert served == 3
        if name in WITHOUT_LOGPROBS:
            with pytest.raises(UsageError, match="gives no log-probabilities"):
                await CachedTeacher(teacher).complete([judging(inputs, 0), judging(inputs, 1)])
            assert teacher_server.total_served == served, "nothing was paid for"
            return
        for video in range(3):
            (judged,) = await CachedTeacher(teacher).complete([judging(inputs, video)])
            assert isinstance(judged, Reply) and judged.answer and confidence(judged.answer).logit_margin is not None
    finally:
        await teacher.close()
    refused = teacher_server.total_asked - teacher_server.total_served
    assert refused <= 6, "it is asked wrongly once of a kind"
    asked = len(teacher_server.bodies)
    assert teacher_server.bodies[asked - 1].keys() == teacher_server.bodies[asked - 2].keys()


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ("top_logprobs: Input should be less than or equal to 8", {"most_top": 8}),
        ('{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}', {"seed": False}),
        ("This model only support stream mode, please enable the stream parameter", {"stream": True}),
        ("response_format is not supported by this model", {"form": "object"}),
        ("messages.0.content: Input should be a valid string", {"parts": False}),
    ],
)
def test_a_refusal_tells_one_thing(said: str, changed: dict[str, Any]) -> None:
    assert learned(FIRST_GUESS, said) == Dialect(**changed)


@pytest.mark.parametrize("said", ["no", "image too large", "context length of 4096 exceeded", "internal error"])
def test_other_refusals_tell_nothing(said: str) -> None:
    assert learned(FIRST_GUESS, said) is None
