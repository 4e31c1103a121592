"""The `openai:` backend over real HTTP, against a server that fails in every way that servers do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hardcut.media.frames import Frame
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.schemas.records import Sampling, Tokens
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.confidence import confidence
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Refusal, Reply, Request, Task
from hardcut.teacher.server.openai import OpenAITeacher

Ask = Callable[..., Any]


class Counting:
    def __init__(self) -> None:
        self.sent = self.not_sent = 0
        self.tokens = self.estimated = Tokens()

    async def sending(self) -> None:
        self.sent += 1

    def unsent(self) -> None:
        self.not_sent += 1

    def received(self, tokens: Tokens, estimated: bool = False) -> None:
        before = self.estimated if estimated else self.tokens
        both = Tokens(prompt=before.prompt + tokens.prompt, completion=before.completion + tokens.completion)
        self.tokens, self.estimated = (self.tokens, both) if estimated else (both, self.estimated)

    async def keep(self, position: int, reply: Reply) -> None:
        pass


@pytest.fixture
def frames(tmp_path: Path) -> tuple[Frame, ...]:
    made = []
    for number in range(3):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"\xff\xd8 frame %d \xff\xd9" % number)
        made.append(Frame(path, number * 1.5, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(made)


@pytest.fixture
def caption(inputs: dict[str, Any], frames: tuple[Frame, ...]) -> Request:
    return Request("caption", inputs["caption"], Sampling(), frames, CaptionReply)


@pytest.fixture
def judge(inputs: dict[str, Any], frames: tuple[Frame, ...]) -> Request:
    return Request("judge", {**inputs["judge"], "query": '"grand hotel" before "train"'}, Sampling(), frames)


async def ask(url: str, *requests: Request, meter: Any = None, **options: Any) -> list[Any]:
    teacher = OpenAITeacher("some/model", url, **{"attempts": 4, "backoff_s": 0.01, "timeout_s": 5.0, **options})
    try:
        if meter is None:
            return list(await CachedTeacher(teacher).complete(requests))
        return list(await teacher.ask(teacher.prepare(requests), meter))
    finally:
        await teacher.close()


async def test_a_request_is_media_first_then_text_with_the_schema(
    teacher_server: Any, caption: Request, frames: tuple[Frame, ...]
) -> None:
    (reply,) = await ask(teacher_server.url, caption)
    assert isinstance(reply, Reply) and isinstance(reply.parsed, CaptionReply)
    assert "Grand Hotel" in reply.parsed.short
    assert reply.tokens == Tokens(prompt=100, completion=10)
    body = teacher_server.bodies[0]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    parts = body["messages"][1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"] * 3 + ["text"]
    assert [part["text"] for part in parts[:-1:2]] == ["<0.0 s>", "<1.5 s>", "<3.0 s>"]
    sent = parts[3]["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
    assert base64.b64decode(sent) == frames[1].path.read_bytes()
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["additionalProperties"] is False
    assert sorted(schema["schema"]["required"]) == ["claims", "short"]
    assert body["model"] == "some/model" and body["temperature"] == 0 and "logprobs" not in body


async def test_frames_of_a_reference_come_after_those_of_the_video_and_say_so(
    teacher_server: Any, judge: Request, frames: tuple[Frame, ...]
) -> None:
    composed = replace(
        judge, inputs={**judge.inputs, "reference": {"caption": "Another trip."}}, reference=frames[1:][::-1]
    )
    await ask(teacher_server.url, judge, composed)
    alone, beside = sorted((body["messages"][1]["content"] for body in teacher_server.bodies), key=len)
    assert beside[:6] == alone[:6], "the video's frames begin both, so that a server can share them"
    assert [part["text"] for part in beside[6:-1:2]] == ["<reference video, 3.0 s>", "<reference video, 1.5 s>"]
    sent = beside[9]["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
    assert base64.b64decode(sent) == frames[1].path.read_bytes()
    assert '<reference>\n{"caption": "Another trip."}\n</reference>' in beside[-1]["text"]
    assert "reference" not in alone[-1]["text"]


async def test_a_judge_gets_an_exact_margin(teacher_server: Any, judge: Request) -> None:
    (reply,) = await ask(teacher_server.url, judge)
    assert reply.answer.verdict == "yes" and reply.answer.bound == -47.0
    assert confidence(reply.answer).exact, "spellings that are as unlikely as the last of 20 change none of its digits"
    assert confidence(reply.answer).logit_margin == pytest.approx(9.6)
    assert "hotel" in reply.reasoning and "<answer>" not in reply.reasoning
    assert teacher_server.bodies[0]["top_logprobs"] == 20


async def test_questions_on_one_video_share_their_prefix(teacher_server: Any, judge: Request) -> None:
    requests = [Request("judge", {**judge.inputs, "query": f"query {n}"}, Sampling(), judge.frames) for n in range(8)]
    teacher_server.latency_s = 0.5
    replies = await ask(teacher_server.url, *requests)
    assert len(replies) == 8 and teacher_server.prefix_hits == 7
    assert teacher_server.most_in_flight == 7  # the first shows what the server gives, then all together
    asked = [body["messages"][1]["content"][-1]["text"] for body in teacher_server.bodies]
    assert {text.split("Query:")[0] for text in asked} == {asked[0].split("Query:")[0]}


async def test_no_more_than_the_allowed_requests_are_in_flight(teacher_server: Any, judge: Request) -> None:
    requests = [Request("judge", {**judge.inputs, "query": f"query {n}"}, Sampling()) for n in range(12)]
    teacher_server.latency_s = 0.02
    await ask(teacher_server.url, *requests, concurrency=3, timeout_s=0.5)
    assert teacher_server.most_in_flight == 3


@pytest.mark.parametrize("fault", [429, 500, 503, 408, "drop", "half", "not_json"])
async def test_what_may_pass_is_tried_again_and_counted(
    teacher_server: Any, caption: Request, fault: str | int
) -> None:
    teacher_server.fail(fault, fault)
    meter = Counting()
    (reply,) = await ask(teacher_server.url, caption, meter=meter)
    assert isinstance(reply, Reply)
    assert teacher_server.total_asked == meter.sent == 3 and teacher_server.total_served >= 1
    assert meter.not_sent == 0


async def test_retry_after_is_honoured(teacher_server: Any, caption: Request) -> None:
    teacher_server.fail(429, retry_after="1")
    started = asyncio.get_running_loop().time()
    (reply,) = await ask(teacher_server.url, caption)
    assert isinstance(reply, Reply)
    assert asyncio.get_running_loop().time() - started >= 1.0


@pytest.mark.parametrize(
    ("fault", "reason"), [(500, "http_500"), (429, "http_429"), ("drop", "connection"), ("not_json", "bad_response")]
)
async def test_what_does_not_pass_becomes_a_refusal(
    teacher_server: Any, caption: Request, judge: Request, fault: str | int, reason: str
) -> None:
    teacher = OpenAITeacher("m", teacher_server.url, attempts=4, backoff_s=0.01)
    try:
        await CachedTeacher(teacher).complete([judge])
        teacher_server.fail(*[fault] * 4)
        (refusal,) = await CachedTeacher(teacher).complete([caption])
    finally:
        await teacher.close()
    assert isinstance(refusal, Refusal) and refusal.reason == reason
    assert teacher_server.total_asked == 1 + 4
    if reason == "bad_response":
        assert refusal.raw == "<html>proxy error</html>"


async def test_a_server_that_hangs_costs_its_time_limit(teacher_server: Any, caption: Request, judge: Request) -> None:
    teacher_server.fail("hang")
    (reply,) = await ask(teacher_server.url, caption, timeout_s=0.3)
    assert isinstance(reply, Reply) and teacher_server.total_asked == 2
    teacher_server.fail("hang")
    teacher_server.latency_s = 0.5
    refusal, reply = await ask(teacher_server.url, caption, judge, timeout_s=2.0, attempts=1)
    assert refusal.reason == "timeout" and isinstance(reply, Reply)


@pytest.mark.parametrize("fault", ["wrong_json", "wrong_schema"])
async def test_an_invalid_reply_is_repaired_once(teacher_server: Any, caption: Request, fault: str) -> None:
    teacher_server.fail(fault)
    meter = Counting()
    (reply,) = await ask(teacher_server.url, caption, meter=meter)
    assert isinstance(reply, Reply) and meter.sent == 2
    assert reply.tokens == Tokens(prompt=200, completion=20) and meter.tokens.prompt == 200
    roles = [message["role"] for message in teacher_server.bodies[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "does not fit" in teacher_server.bodies[1]["messages"][3]["content"]
    assert teacher_server.prefix_hits == 1


@pytest.mark.parametrize("fault", ["wrong_json", "wrong_schema"])
async def test_a_reply_that_stays_invalid_is_refused_with_its_text(
    teacher_server: Any, caption: Request, fault: str
) -> None:
    teacher_server.fail(fault, fault)
    (refusal,) = await ask(teacher_server.url, caption)
    assert isinstance(refusal, Refusal) and refusal.reason == "invalid_reply"
    assert refusal.raw in ('{"caption": "half', '{"something": "else"}')
    assert teacher_server.total_asked == 2


async def test_every_task_with_a_schema_is_repaired_once_or_refused_with_its_text(
    teacher_server: Any, inputs: dict[str, Any], structured: dict[Task, type[BaseModel]]
) -> None:
    for task, reply in structured.items():
        request = Request(task, inputs[task], Sampling(), reply=reply)
        teacher_server.fail("wrong_schema")
        (repaired,) = await ask(teacher_server.url, request)
        assert isinstance(repaired, Reply) and isinstance(repaired.parsed, reply), task
        asked = teacher_server.total_asked
        teacher_server.fail("wrong_schema", "wrong_schema")
        (refusal,) = await ask(teacher_server.url, request)
        assert isinstance(refusal, Refusal) and refusal.reason == "invalid_reply", task
        assert refusal.raw == '{"something": "else"}' and teacher_server.total_asked == asked + 2


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ('```json\n{"short": "A.", "claims": []}\n```', "A."),
        ('<think>{"short"? A hotel.</think>\n\n{"short": "A.", "claims": []}', "A."),
        ('A hotel.\n</think>\n```json\n{"short": "A.", "claims": []}\n```', "A."),
        ('{"short": "A sign reads </think>.", "claims": []}', "A sign reads </think>."),
    ],
)
async def test_thoughts_before_json_and_a_markdown_fence_are_no_fault(
    teacher_server: Any, caption: Request, text: str, short: str
) -> None:
    teacher_server.answer = lambda body: text
    (reply,) = await ask(teacher_server.url, caption)
    assert isinstance(reply, Reply) and isinstance(reply.parsed, CaptionReply) and reply.parsed.short == short
    assert teacher_server.total_asked == 1


async def test_of_a_cut_reply_what_is_whole_is_kept(teacher_server: Any, caption: Request) -> None:
    teacher_server.fail("truncated")
    (reply,) = await ask(teacher_server.url, caption)
    assert isinstance(reply, Reply) and isinstance(reply.parsed, CaptionReply) and reply.parsed.claims
    assert [each.reason for each in reply.left_out] == ["cut_off"]
    (whole,) = await ask(teacher_server.url, caption)
    assert whole.parsed.claims[: len(reply.parsed.claims)] == reply.parsed.claims and not whole.left_out
    assert teacher_server.total_asked == 2


async def test_a_cut_reply_without_a_whole_item_is_refused(teacher_server: Any, caption: Request) -> None:
    teacher_server.answer = lambda body: '{"short": "A sign.", "claims": [{"text": "A si'
    teacher_server.fail("truncated")
    (refusal,) = await ask(teacher_server.url, caption)
    assert isinstance(refusal, Refusal) and refusal.reason == "truncated" and refusal.raw
    assert teacher_server.total_asked == 1


@pytest.mark.parametrize("tokenizes", [False, True])
async def test_a_judge_whose_reasoning_has_no_end_is_asked_for_the_answer(
    teacher_server: Any, judge: Request, tokenizes: bool
) -> None:
    """By a second, short request that begins like the first."""
    teacher_server.tokenizes = tokenizes
    endless = "The sign is seen. " * 40
    short = "yes" if tokenizes else "<answer>yes</answer>"
    teacher_server.answer = lambda body: endless if len(body["messages"]) == 2 else short
    teacher_server.fail("truncated")
    (reply,) = await ask(teacher_server.url, judge)
    assert isinstance(reply, Reply) and reply.answer and (tokenizes or reply.answer.verdict == "yes")
    assert confidence(reply.answer).exact and reply.reasoning.startswith("The sign is seen.")
    assert reply.text.endswith(f"<answer>{reply.answer.verdict}</answer>")
    first, second = teacher_server.bodies
    assert second["messages"][:2] == first["messages"][:2] and teacher_server.prefix_hits == 1
    assert second["max_tokens"] == (1 if tokenizes else 16)
    said = second["messages"][2]
    assert said["role"] == "assistant" and said["content"].startswith("The sign is seen.")
    assert said["content"].endswith("<answer>") == tokenizes


async def test_a_judge_ends_at_its_answer(teacher_server: Any, judge: Request) -> None:
    """Most servers leave the stop text out, and tokens that follow an answer are none of it."""
    teacher_server.answer = lambda body: "It is there.\n<answer>yes"
    (reply,) = await ask(teacher_server.url, judge)
    assert teacher_server.bodies[0]["stop"] == ["</answer>"]
    assert reply.answer.verdict == "yes" and reply.text.endswith("<answer>yes</answer>")
    assert confidence(reply.answer).logit_margin is not None and teacher_server.total_asked == 1


@pytest.mark.parametrize(
    "text", ["", "The snow is no proof", "<answer>да</answer>", "<answer>yes</answer> or <answer>"]
)
async def test_a_judge_without_a_verdict_is_refused(teacher_server: Any, judge: Request, text: str) -> None:
    teacher_server.answer = lambda body: text
    (refusal,) = await ask(teacher_server.url, judge)
    assert refusal == Refusal("invalid_reply", refusal.detail, text)
    assert teacher_server.total_asked == (2 if text else 1), "told to answer, it did not"


@pytest.mark.parametrize("dropped", ["no_logprobs", "no_top"])
@pytest.mark.parametrize("reasoning", [True, False])
async def test_a_server_that_drops_logprobs_ends_the_run_before_a_second_judgment_is_paid_for(
    teacher_server: Any, judge: Request, dropped: str, reasoning: bool
) -> None:
    teacher_server.fail_always(dropped)
    teacher_server.latency_s = 0.05
    sampling = Sampling(reasoning=reasoning)
    videos = [[replace(judge, inputs={**judge.inputs, "query": f"{v} {n}"}, sampling=sampling) for n in range(6)]
              for v in range(4)]  # fmt: skip
    teacher, meter = OpenAITeacher("some/model", teacher_server.url), Counting()
    ends = await asyncio.gather(
        *(teacher.ask(teacher.prepare(requests), meter) for requests in videos), return_exceptions=True
    )
    await teacher.close()
    assert {type(end) for end in ends} == {UsageError}
    assert "gives no log-probabilities" in str(ends[0]) and "scores.teachers" in str(ends[0])
    assert teacher_server.total_asked == 1 and meter.tokens == Tokens(prompt=100, completion=10)


async def test_one_reply_without_logprobs_after_others_with_them_is_refused(
    teacher_server: Any, judge: Request
) -> None:
    teacher = OpenAITeacher("some/model", teacher_server.url)
    await CachedTeacher(teacher).complete([judge])
    teacher_server.fail("no_logprobs")
    (refusal,) = await CachedTeacher(teacher).complete([replace(judge, sampling=Sampling(seed=1))])
    await teacher.close()
    assert isinstance(refusal, Refusal) and refusal.reason == "no_logprobs" and "<answer>" in (refusal.raw or "")


async def test_a_verdict_that_its_own_logprobs_deny_is_no_reply(teacher_server: Any, judge: Request) -> None:
    teacher_server.fail_always("contrary")
    (refusal,) = await ask(teacher_server.url, judge)
    assert isinstance(refusal, Refusal) and refusal.reason == "invalid_reply" and "deny" in refusal.detail
    (drawn,) = await ask(teacher_server.url, replace(judge, sampling=Sampling(temperature=1.0)))
    assert isinstance(drawn, Reply), "with chance, the less likely word may be drawn"


async def test_a_word_missing_from_the_top_20_gives_a_bound(teacher_server: Any, judge: Request) -> None:
    teacher_server.fail("no_yes")
    teacher_server.answer = lambda body: "Nothing. <answer>no</answer>"
    (reply,) = await ask(teacher_server.url, judge)
    assert reply.answer.logprob_yes is None and reply.answer.bound == -48.0
    result = confidence(reply.answer)
    assert not result.exact and result.logit_margin == pytest.approx(-48.0 + math.log(9) + math.log1p(math.exp(3.0)))


async def test_a_server_that_refuses_logprobs_ends_the_run(teacher_server: Any, judge: Request) -> None:
    teacher_server.fail_always(400)
    with pytest.raises(UsageError, match="gives no log-probabilities"):
        await ask(teacher_server.url, judge, replace(judge, sampling=Sampling(seed=1)))
    assert teacher_server.total_asked == 1


async def test_defaults_of_a_models_folder_are_undone_where_the_server_may_have_them(
    teacher_server: Any, judge: Request, caption: Request
) -> None:
    """vLLM takes repetition_penalty, top_k and min_p out of generation_config.json for whoever does not send them."""
    await ask(teacher_server.url, judge, caption)
    judged, captioned = sorted(teacher_server.bodies, key=lambda body: "response_format" in body)
    assert (judged["repetition_penalty"], judged["top_k"], judged["min_p"]) == (1.0, -1, 0.0)
    assert "repetition_penalty" not in captioned, "a caption has no margin"


async def test_a_server_that_does_not_know_those_options_is_asked_without(teacher_server: Any, judge: Request) -> None:
    teacher_server.options = frozenset(
        {"model", "messages", "temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs"}
    )
    requests = [replace(judge, sampling=Sampling(seed=seed)) for seed in range(4)]
    replies = await ask(teacher_server.url, *requests)
    assert all(isinstance(reply, Reply) for reply in replies)
    assert teacher_server.total_asked == 6, "the first finds out that it knows neither min_p nor stop"


@pytest.mark.parametrize("status", [400, 422, 413])
async def test_a_refused_request_costs_only_itself(teacher_server: Any, caption: Request, status: int) -> None:
    teacher_server.fail(status)
    (refusal,) = await ask(teacher_server.url, caption)
    assert refusal.reason == f"http_{status}" and '"no"' in refusal.raw
    assert teacher_server.total_asked == 1


@pytest.mark.parametrize(
    ("fault", "advice"),
    [(401, "HARDCUT_API_KEY"), (403, "HARDCUT_API_KEY"), (404, "model and address"), ("redirect", "redirects")],
)
async def test_what_would_fail_every_request_ends_the_run(
    teacher_server: Any, caption: Request, fault: str | int, advice: str
) -> None:
    teacher_server.fail(fault)
    with pytest.raises(UsageError, match=advice):
        await ask(teacher_server.url, caption)
    assert teacher_server.total_asked == 1


async def test_a_server_that_is_not_there_ends_the_run_and_costs_no_call(caption: Request) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        meter = Counting()
        with pytest.raises(MissingDependency, match="start the server"):
            await ask(url, caption, meter=meter)
    assert meter.sent == meter.not_sent == 4


async def test_a_server_that_answers_nothing_but_errors_ends_the_run_and_fails_no_request(
    teacher_server: Any, judge: Request
) -> None:
    teacher_server.fail(*[500] * 5000)
    teacher = OpenAITeacher("m", teacher_server.url, attempts=4, backoff_s=0.01, concurrency=8)
    requests = iter([Request("judge", {**judge.inputs, "query": f"q{n}"}, Sampling()) for n in range(1000)])
    refused: list[Refusal] = []

    async def work() -> None:
        for request in requests:
            refused.extend(
                each for each in await CachedTeacher(teacher).complete([request]) if isinstance(each, Refusal)
            )

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(work())
    await teacher.close()
    assert {type(error) for error in caught.value.exceptions} == {MissingDependency}
    assert "answered none of the last" in str(caught.value.exceptions[0]) and "500" in str(caught.value.exceptions[0])
    assert teacher_server.total_asked <= 8 * 4 + 8, "what was under way, and not a thousand times four"
    assert len(refused) <= 8


@pytest.mark.parametrize("requests", [1, 3])
async def test_a_server_that_has_never_answered_ends_the_run_of_few_requests_too(
    teacher_server: Any, judge: Request, requests: int
) -> None:
    teacher_server.fail(*[500] * 100)
    asked = [Request("judge", {**judge.inputs, "query": f"q{n}"}, Sampling()) for n in range(requests)]
    with pytest.raises(MissingDependency, match="answered none of the last"):
        await ask(teacher_server.url, *asked)
    assert teacher_server.total_asked <= 4 * requests


async def test_a_request_that_fails_while_others_have_no_answer_yet_fails_alone(
    teacher_server: Any, judge: Request
) -> None:
    slow = Request("judge", {**judge.inputs, "query": "slow"}, Sampling())
    teacher = OpenAITeacher("m", teacher_server.url, attempts=3, backoff_s=0.01)
    try:
        teacher_server.latency_s = 2.0
        waiting = asyncio.create_task(CachedTeacher(teacher).complete([slow]))
        while not teacher_server.in_flight:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)
        teacher_server.latency_s = 0.0
        teacher_server.fail(*[500] * 3)
        (refusal,) = await CachedTeacher(teacher).complete([judge])
        (reply,) = await waiting
    finally:
        await teacher.close()
    assert isinstance(refusal, Refusal) and refusal.reason == "http_500" and isinstance(reply, Reply)


async def test_one_request_that_always_fails_fails_alone(teacher_server: Any, judge: Request) -> None:
    """However often it is asked, others are answered in between."""
    poison = json.dumps("poison")

    def answer(body: dict[str, Any]) -> str | None:
        if poison in body["messages"][1]["content"][-1]["text"]:
            raise RuntimeError("the server chokes")  # aiohttp answers 500
        return None

    teacher_server.answer = answer
    teacher = OpenAITeacher("m", teacher_server.url, attempts=4, backoff_s=0.001)
    try:
        for n in range(8):
            good = Request("judge", {**judge.inputs, "query": f"q{n}"}, Sampling())
            bad = Request("judge", {**judge.inputs, "query": "poison"}, Sampling(seed=n))
            (one,), (other,) = (
                await CachedTeacher(teacher).complete([good]),
                await CachedTeacher(teacher).complete([bad]),
            )
            assert isinstance(one, Reply) and isinstance(other, Refusal) and other.reason == "http_500"
    finally:
        await teacher.close()


async def test_replies_that_were_paid_for_are_kept_when_another_ends_the_run(
    teacher_server: Any, judge: Request
) -> None:
    kept: list[int] = []

    class Keeping(Counting):
        async def keep(self, position: int, reply: Reply) -> None:
            kept.append(position)

    requests = [Request("judge", {**judge.inputs, "query": f"query {n}"}, Sampling()) for n in range(6)]
    teacher_server.latency_s = 0.05
    teacher = OpenAITeacher("some/model", teacher_server.url)
    await CachedTeacher(teacher).complete(requests[:1])
    teacher_server.fail(401)
    with pytest.raises(UsageError):
        await teacher.ask(teacher.prepare(requests[1:]), Keeping())
    await teacher.close()
    assert len(kept) == 4


async def test_a_frame_that_is_gone_fails_the_video(teacher_server: Any, caption: Request) -> None:
    caption.frames[1].path.unlink()
    with pytest.raises(ItemError, match="frame"):
        await ask(teacher_server.url, caption)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host/v1", "http"),
        ("file:///etc/passwd", "http"),
        ("http:///v1", "name a host"),
        ("http://host:99999/v1", "not a URL"),
        ("http://me:hunter2@host/v1", "HARDCUT_API_KEY"),
        ("http://host/v1?key=hunter2", "HARDCUT_API_KEY"),
    ],
)
def test_only_plain_http_addresses(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        OpenAITeacher("m", url)
    assert "hunter2" not in str(caught.value)


async def test_the_key_is_sent_and_nowhere_else(
    teacher_server: Any, caption: Request, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "other-secret-key")
    monkeypatch.setenv("HARDCUT_API_KEY", "planted-secret-key")
    teacher_server.fail("echo_key")
    refusal, reply = await ask(
        teacher_server.url, caption, Request("judge", {**caption.inputs, "query": "q", "caption": None}, Sampling())
    )
    if isinstance(reply, Refusal):
        refusal, reply = reply, refusal
    assert teacher_server.keys_seen == {"Bearer planted-secret-key"}
    assert refusal.raw is not None and "***" in refusal.raw
    told = f"{refusal} {reply} {reply.teacher.model_dump_json()} {''.join(capfd.readouterr())}"
    assert "planted-secret-key" not in told and "other-secret-key" not in told
    monkeypatch.delenv("HARDCUT_API_KEY")
    await ask(teacher_server.url, caption)
    assert "Bearer other-secret-key" in teacher_server.keys_seen  # read at each call


def test_the_key_of_a_request_covers_all_that_could_change_its_reply(
    caption: Request, judge: Request, frames: tuple[Frame, ...], tmp_path: Path
) -> None:
    def key(request: Request, model: str = "m", url: str = "http://h/v1", **options: Any) -> str:
        [question] = OpenAITeacher(model, url, **options).prepare([request])
        return question.key

    from hardcut.teacher.prompts.render import Prompts

    own = tmp_path / "prompts"
    own.mkdir()
    (own / "caption.user.txt.jinja").write_text("Describe {{ evidence | data }}")
    later = (*frames[:2], replace(frames[2], time_s=9.0))
    other = (*frames[:2], replace(frames[2], sha256="f" * 64))
    keys = [
        key(caption),
        key(judge),
        key(caption, model="n"),
        key(caption, revision="2"),
        key(caption, prompts=Prompts(own)),
        key(replace(caption, sampling=Sampling(seed=1))),
        key(replace(caption, frames=later)),
        key(replace(judge, reference=frames)),
        key(replace(judge, reference=other)),
        key(replace(caption, frames=other)),
        key(replace(caption, inputs={**caption.inputs, "max_words": 9})),
        key(replace(caption, reply=None)),
    ]
    assert len(set(keys)) == len(keys)
    moved = tuple(replace(frame, path=tmp_path / "elsewhere" / frame.path.name) for frame in frames)
    assert key(replace(caption, frames=moved)) == key(caption)  # where a frame lies is of no account
    assert key(caption, timeout_s=1.0, attempts=1, concurrency=1) == key(caption)
    assert key(caption, url="http://g/v1") == key(caption), "who answers is not where it answers"
    assert json.dumps(keys)


async def ping(url: str, model: str = "some/model") -> str:
    teacher = OpenAITeacher(model, url)
    try:
        return await teacher.ping()
    finally:
        await teacher.close()


async def test_a_ping_says_that_the_server_has_the_model_and_asks_it_nothing(teacher_server: Any) -> None:
    assert await ping(teacher_server.url) == f"some/model at {teacher_server.url}"
    assert teacher_server.total_asked == 0
    with pytest.raises(UsageError, match=r"no model 'other'; it has: some/model, judge"):
        await ping(teacher_server.url, "other")
    teacher_server.models = None
    assert "does not say whether it has other" in await ping(teacher_server.url, "other")


async def test_a_ping_to_nobody_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(MissingDependency, match="start the server"):
            await ping(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")


async def test_a_server_that_tells_tokens_is_asked_for_those_of_yes_and_no(teacher_server: Any, judge: Request) -> None:
    teacher_server.tokenizes = True
    (reply, other) = await ask(teacher_server.url, judge, Request("judge", {**judge.inputs, "query": "x"}, Sampling()))
    assert isinstance(reply, Reply) and isinstance(other, Reply)
    assert [body["logprob_token_ids"] for body in teacher_server.bodies] == [[11, 12, 13]] * 2
    assert confidence(reply.answer).exact


async def test_one_forward_pass_ends_the_prompt_at_the_answer(teacher_server: Any, judge: Request) -> None:
    teacher_server.tokenizes = True
    teacher_server.answer = lambda body: "yes"
    request = Request("judge", judge.inputs, Sampling(reasoning=False), judge.frames)
    (reply,) = await ask(teacher_server.url, request)
    (body,) = teacher_server.bodies
    assert body["messages"][-1] == {"role": "assistant", "content": "<answer>"}
    assert body["max_tokens"] == 1 and body["continue_final_message"] and not body["add_generation_prompt"]
    assert reply.text == f"<answer>{reply.answer.verdict}</answer>" and reply.reasoning == ""
    assert reply.answer.logprob_yes == reply.answer.logprob_no == -1.0  # what the server lists before any answer


async def test_a_server_that_refuses_to_be_asked_for_tokens_is_asked_without(
    teacher_server: Any, judge: Request
) -> None:
    teacher_server.tokenizes = True
    teacher_server.fail(400)  # says: logprobs are not supported
    requests = [judge, Request("judge", {**judge.inputs, "query": "x"}, Sampling())]
    replies = [(await ask(teacher_server.url, *requests, concurrency=1))]
    assert all(isinstance(reply, Reply) for reply in replies[0])
    asked = ["logprob_token_ids" in body for body in teacher_server.bodies]
    assert asked[0] and not all(asked[1:]) and len(asked) == 3
