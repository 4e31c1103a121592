"""What an answer means that is not 200: in words of real servers, and over real HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError
from hardcut.schemas.records import Sampling
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Refusal, Reply, Request
from hardcut.teacher.server.faults import (
    AccountRefused,
    NotFound,
    RequestFailed,
    RequestRejected,
    fault_of,
    seconds_of,
    words_of,
)
from hardcut.teacher.server.openai import OpenAITeacher


def said(message: str, **more: Any) -> str:
    return json.dumps({"error": {"message": message, **more}})


QUOTA = "You exceeded your current quota, please check your plan and billing details."
CONTEXT = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."


@pytest.mark.parametrize(
    ("status", "raw", "kind"),
    [
        (401, "no", AccountRefused),
        (403, said("Country not supported"), AccountRefused),
        (403, said("Your account has been deactivated", code="account_deactivated"), AccountRefused),
        (400, said("Incorrect API key provided: sk-12***.", code="invalid_api_key"), AccountRefused),
        (400, said("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), AccountRefused),
        (422, said("Unauthorized"), AccountRefused),
        (402, said("Insufficient Balance"), MissingDependency),
        (402, "", MissingDependency),
        (400, said("Your credit balance is too low to access the API"), MissingDependency),
        (429, said(QUOTA, type="insufficient_quota", code="insufficient_quota"), MissingDependency),
        (429, said(f"{QUOTA} Please retry in 32 s", status="RESOURCE_EXHAUSTED"), RequestFailed),
        (429, said("Rate limit reached for tokens per minute"), RequestFailed),
        (404, '{"detail":"Not Found"}', NotFound),
        (400, said("The model `Qwen2.5-VL` does not exist", code="model_not_found"), NotFound),
        (400, said("foo/bar is not a valid model ID", code=400), NotFound),
        (400, said("Model Not Exist"), NotFound),
        (307, "", UsageError),
        (503, "busy", RequestFailed),
        (404, said("No endpoints found that support image input"), RequestRejected),
        (400, said("image_url: this model is not available for pictures"), RequestRejected),
        (400, said("Logprobs is not enabled for this model"), RequestRejected),
        (500, said("image input is not supported - hint: you may need to provide the mmproj"), RequestRejected),
        (500, said("Jinja Exception: System role not supported"), RequestRejected),
        (501, said("response_format is not implemented"), RequestRejected),
        (500, said("CUDA out of memory"), RequestFailed),
        (400, said(CONTEXT), RequestRejected),
        (400, said("The prompt (length 5000) is longer than the maximum model length of 4096."), RequestRejected),
        (400, said("logprobs is not supported for this model: this model is not supported"), RequestRejected),
        (403, said("Your input was flagged by moderation"), RequestRejected),
        (413, "too large", RequestRejected),
        (422, '{"detail":[{"msg":"Field required","input":"unauthorized, no credit, no model"}]}', RequestRejected),
    ],
)  # fmt: skip
def test_whom_a_refusal_concerns(status: int, raw: str, kind: type[Exception]) -> None:
    found = fault_of("http://host/v1", status, None, raw, "give a key")
    assert type(found) is kind
    assert words_of(raw)[:40] in str(found) and "\n" not in str(found)
    if isinstance(found, HardcutError):
        assert str(status) in str(found)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), ("-4", 0.0), ("nan", None), ("soon", None), ("Mon, 01 Jan 99999 00:00:00 GMT", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_how_long_a_server_asks_to_wait(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header) == seconds


@pytest.mark.parametrize("header", ["61", "86400", "inf", "1e400", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_a_long_wait_is_told_and_not_held(header: str) -> None:
    found = fault_of("http://host/v1", 429, header, "busy", "")
    assert isinstance(found, MissingDependency) and "start again after 20" in str(found)
    short = fault_of("http://host/v1", 503, "60", "busy", "")
    assert isinstance(short, RequestFailed) and short.retry_after_s == 60


@pytest.fixture
def captions(inputs: dict[str, Any]) -> list[Request]:
    return [Request("caption", inputs["caption"], Sampling(seed=seed), reply=CaptionReply) for seed in range(30)]


ACCOUNT = [
    (402, "Insufficient credits"),
    (400, "Incorrect API key provided"),
    (400, "The model `some/model` does not exist"),
    (429, "insufficient_quota"),
    (401, "no such user"),
    ("redirect", "redirects"),
]


@pytest.mark.parametrize(("kind", "words"), ACCOUNT)
async def test_what_concerns_the_account_ends_the_run_with_the_servers_words_and_sends_nothing_more(
    teacher_server: Any, captions: list[Request], kind: Any, words: str
) -> None:
    teacher_server.latency_s = 0.05
    teacher_server.fail_always(kind, words)
    teacher = OpenAITeacher("some/model", teacher_server.url, concurrency=4)
    with pytest.raises(HardcutError, match=words) as caught:
        await CachedTeacher(teacher).complete(captions)
    assert teacher_server.total_asked <= 4, "what was in flight, and none of the thirty besides"
    assert str(caught.value).count("\n") == 0
    teacher_server.always = None
    (reply,) = await CachedTeacher(teacher).complete(captions[:1])
    assert isinstance(reply, Reply), "once it is mended, the same teacher goes on"
    await teacher.close()


async def test_a_model_that_the_server_does_not_list_is_told_from_a_request_that_it_refuses(
    teacher_server: Any, captions: list[Request]
) -> None:
    """In words that nobody knows: the list of models decides, and is asked for once."""
    teacher_server.fail_always(400, "モデルがありません")
    teacher_server.models = ("other",)
    teacher = OpenAITeacher("some/model", teacher_server.url, concurrency=1)
    with pytest.raises(UsageError, match=r"no model 'some/model'; it has: other; .*モデルがありません"):
        await CachedTeacher(teacher).complete(captions)
    assert teacher_server.total_asked == 1
    await teacher.close()
    teacher_server.models = ("some/model",)
    teacher = OpenAITeacher("some/model", teacher_server.url, concurrency=1)
    outcomes = await CachedTeacher(teacher).complete(captions[:3])
    await teacher.close()
    assert [isinstance(each, Refusal) and each.reason for each in outcomes] == ["http_400"] * 3


async def test_a_server_that_asks_to_wait_for_an_hour_is_not_waited_for(
    teacher_server: Any, captions: list[Request]
) -> None:
    teacher_server.fail(429, retry_after="3600")
    teacher = OpenAITeacher("some/model", teacher_server.url)
    with pytest.raises(MissingDependency, match="start again after 20"):
        await CachedTeacher(teacher).complete([replace(captions[0])])
    await teacher.close()
    assert teacher_server.total_asked == 1
