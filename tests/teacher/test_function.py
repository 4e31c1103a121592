"""A teacher that is a Python function: what it may answer, under which name its replies are kept, and what its faults
cost."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.errors import BudgetReached, ItemError, UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.confidence import confidence
from hardcut.teacher.function import FunctionRequest, register
from hardcut.teacher.prompts.reply_models import CheckReply
from hardcut.teacher.protocol import Answer, Outcome, Refusal, Reply, Request, Task
from hardcut.teacher.registry import open_teacher

INPUTS: dict[str, Any] = {
    "video": {"duration_s": 2.0}, "evidence": [], "caption": None, "query": "a red ball", "reference": None,
}  # fmt: skip


def request(task: Task = "judge", **inputs: Any) -> Request:
    reply = CheckReply if task == "check" else None
    return Request(task, {**INPUTS, **inputs}, Sampling(), reply=reply)


def ask(function: Any, *requests: Request, **options: Any) -> list[Outcome]:
    register("f", function, options.pop("concurrency", 1))
    teacher = open_teacher(TeacherSettings(spec="function:f", **options))
    return asyncio.run(teacher.complete(requests or [request()]))


@pytest.mark.parametrize(
    ("said", "verdict", "margin", "exact"),
    [
        (True, "yes", None, False),
        (False, "no", None, False),
        (" Yes", "yes", None, False),
        (2.5, "yes", 2.5, True),
        (-40, "no", -40, True),
        (Answer("no", -3.0, -0.05), "no", -2.95, True),
    ],
)
def test_what_a_judge_may_say(said: object, verdict: str, margin: float | None, exact: bool) -> None:
    [reply] = ask(lambda asked: said)
    assert isinstance(reply, Reply) and reply.answer is not None
    found = confidence(reply.answer)
    assert (reply.answer.verdict, found.exact) == (verdict, exact)
    assert found.logit_margin == (None if margin is None else pytest.approx(margin))


@pytest.mark.parametrize("said", [None, "perhaps", float("nan"), {"verdict": "yes"}])
def test_what_it_may_not_say_is_refused_and_kept_word_for_word(said: object) -> None:
    [refusal] = ask(lambda asked: said)
    assert isinstance(refusal, Refusal) and (refusal.reason, refusal.raw) == ("invalid_reply", repr(said))


@pytest.mark.parametrize("form", [dict, CheckReply.model_validate, lambda value: CheckReply(**value).model_dump_json()])
def test_other_tasks_are_answered_by_what_fits_the_reply(form: Any) -> None:
    value = {"claims": [{"number": 1, "supported": True, "problem": ""}]}
    claims = [{"number": 1, "text": "a ball", "start": None, "end": None, "evidence": []}]
    [reply] = ask(lambda asked: form(value), request("check", claims=claims))
    assert isinstance(reply, Reply) and isinstance(reply.parsed, CheckReply) and reply.parsed.claims[0].supported
    [refusal] = ask(lambda asked: {"claims": 3}, request("check", claims=claims))
    assert isinstance(refusal, Refusal) and "claims" in refusal.detail


def test_it_is_handed_the_prompt_that_a_model_would_be_sent() -> None:
    seen: list[FunctionRequest] = []
    ask(lambda asked: seen.append(asked) or True)
    assert "a red ball" in seen[0].prompt.user and seen[0].request.inputs["query"] == "a red ball"


def test_an_async_function_is_awaited() -> None:
    async def judge(asked: FunctionRequest) -> bool:
        await asyncio.sleep(0)
        return True

    [reply] = ask(judge)
    assert isinstance(reply, Reply)


def test_what_it_raises_costs_its_request_alone() -> None:
    def judge(asked: FunctionRequest) -> bool:
        if asked.request.inputs["query"] == "bad":
            raise ZeroDivisionError("no")
        if asked.request.inputs["query"] == "ours":
            raise ItemError("odd", "not today", "raw")
        return True

    good, bad, ours = ask(judge, request(), request(query="bad"), request(query="ours"))
    assert isinstance(good, Reply)
    assert isinstance(bad, Refusal) and bad.reason == "function_failed" and "ZeroDivisionError: no" in bad.detail
    assert "test_function.py" in (bad.raw or "")
    assert ours == Refusal("odd", "not today", "raw")


def test_what_ends_a_run_ends_it() -> None:
    def judge(asked: FunctionRequest) -> bool:
        raise BudgetReached("enough")

    with pytest.raises(BudgetReached):
        ask(judge)


@pytest.mark.parametrize(("concurrency", "together"), [(1, 1), (3, 3)])
def test_so_many_calls_run_at_a_time(concurrency: int, together: int) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def judge(asked: FunctionRequest) -> bool:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.2)
        with lock:
            now[0] -= 1
        return True

    ask(judge, *(request(query=str(n)) for n in range(6)), concurrency=concurrency)
    assert most[0] == together


def test_replies_are_kept_by_name_and_revision(tmp_path: Path) -> None:
    calls: list[str] = []

    def judge(asked: FunctionRequest) -> bool:
        calls.append("asked")
        return True

    async def once(name: str, revision: str | None) -> None:
        register(name, judge)
        with ReplyCache(tmp_path / "replies.sqlite") as replies:
            settings = TeacherSettings(spec=f"function:{name}", revision=revision)
            await open_teacher(settings, replies=replies).complete([request()])

    for name, revision, paid in [("f", "1", 1), ("f", "1", 1), ("f", "2", 2), ("g", "2", 3), ("f", "1", 3)]:
        asyncio.run(once(name, revision))
        assert len(calls) == paid


def test_a_name_that_nobody_registered_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"use this run from the script .*teacher_from.*name='unknown'"):
        open_teacher(TeacherSettings(spec="function:unknown"))
    with pytest.raises(UsageError, match="name"):
        register("", lambda asked: True)
