"""What every backend keeps to, whatever it is. A new backend is added to `SPECS`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from hardcut.engine.budget import current_stage
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.confidence import confidence, read_answer
from hardcut.teacher.prompts.reply_models import CaptionReply, QueriesReply
from hardcut.teacher.protocol import Reply, Request, Task, Teacher
from hardcut.teacher.registry import open_teacher

SPECS = ("evidence", "openai:some/model@{url}")


@pytest.fixture(params=SPECS, ids=lambda spec: spec.partition(":")[0])
async def teacher(request: pytest.FixtureRequest, tmp_path: Path, teacher_server: Any) -> AsyncIterator[Teacher]:
    current_stage.set("test")
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        opened = open_teacher(TeacherSettings(spec=request.param.format(url=teacher_server.url)), replies=replies)
        yield opened
        await opened.close()


@pytest.fixture
def requests(inputs: dict[str, Any], structured: dict[Task, type[BaseModel]]) -> list[Request]:
    """All tasks mixed, the judgments in an order that their answers tell."""
    queries = ['"grand hotel"', "zebra crossing", '"platform 9"', '"platform 9" before "grand hotel"']
    judgments = [Request("judge", {**inputs["judge"], "query": query}, Sampling()) for query in queries]
    return [
        judgments[0],
        Request("caption", inputs["caption"], Sampling(), reply=CaptionReply),
        *judgments[1:],
        Request("queries", inputs["queries"], Sampling(), reply=QueriesReply),
        *(Request(task, inputs[task], Sampling(), reply=reply) for task, reply in structured.items()),
    ]


async def test_one_outcome_for_each_request_in_order(
    teacher: Teacher, requests: list[Request], structured: dict[Task, type[BaseModel]]
) -> None:
    outcomes = await teacher.complete(requests)
    replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
    assert len(replies) == len(requests)
    verdicts = [reply.answer.verdict for reply in replies if reply.answer]
    assert verdicts == ["yes", "no", "yes", "no"]
    assert isinstance(replies[1].parsed, CaptionReply) and isinstance(replies[5].parsed, QueriesReply)
    assert [type(reply.parsed) for reply in replies[6:]] == list(structured.values())


async def test_an_empty_batch_is_answered_with_nothing(teacher: Teacher) -> None:
    assert await teacher.complete([]) == []


async def test_a_reply_says_who_gave_it(teacher: Teacher, requests: list[Request]) -> None:
    for request, outcome in zip(requests, await teacher.complete(requests), strict=True):
        assert isinstance(outcome, Reply)
        assert outcome.teacher == teacher.describe(request.task, request.sampling)
        assert outcome.teacher.prompt_digest and len(outcome.teacher.prompt_digest) == 64


async def test_a_structured_reply_fits_its_model_and_its_text(teacher: Teacher, requests: list[Request]) -> None:
    for request, outcome in zip(requests, await teacher.complete(requests), strict=True):
        assert isinstance(outcome, Reply)
        if request.reply:
            assert request.reply.model_validate_json(outcome.text) == outcome.parsed and outcome.answer is None
        else:
            assert outcome.parsed is None


async def test_a_judgment_has_reasoning_then_an_answer_with_both_probabilities(
    teacher: Teacher, requests: list[Request]
) -> None:
    for request, outcome in zip(requests, await teacher.complete(requests), strict=True):
        if request.task != "judge":
            continue
        assert isinstance(outcome, Reply) and outcome.answer
        read = read_answer(outcome.text)
        assert read and read.verdict == outcome.answer.verdict
        assert outcome.reasoning and outcome.text.startswith(outcome.reasoning)
        result = confidence(outcome.answer)
        assert result.exact and result.logit_margin is not None
        assert (result.logit_margin > 0) == (outcome.answer.verdict == "yes")


async def test_the_same_questions_get_the_same_answers(teacher: Teacher, requests: list[Request]) -> None:
    assert await teacher.complete(requests) == await teacher.complete(requests)


def test_describing_sends_nothing_and_tells_tasks_apart(teacher: Teacher, teacher_server: Any) -> None:
    digests = {teacher.describe(task, Sampling()).prompt_digest for task in get_args(Task)}
    assert len(digests) == len(get_args(Task)) and teacher_server.total_asked == 0


async def test_a_ping_says_who_would_answer(teacher: Teacher) -> None:
    assert teacher.describe("judge", Sampling()).backend == "evidence" or "some/model" in await teacher.ping()
    assert await teacher.ping()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "unknown backend; there are: evidence, openai:MODEL@URL"),
        ("gguf:some/model", "unknown backend; there are: evidence, openai:MODEL@URL, vllm:MODEL, transformers:MODEL"),
        ("vllm:", "vllm:MODEL"),
        ("transformers", "transformers:MODEL"),
        ("evidence:fast", "evidence and nothing more"),
        ("openai", "openai:MODEL@URL"),
        ("openai:model", "openai:MODEL@URL"),
        ("openai:model@host/v1", "openai:MODEL@URL"),
        ("openai:model@ftp://host/v1", "http:// or https://"),
    ],
)
def test_a_wrong_spec_is_told_with_what_there_is(tmp_path: Path, spec: str, says: str) -> None:
    with ReplyCache(tmp_path / "replies.sqlite") as replies, pytest.raises(UsageError, match=says):
        open_teacher(TeacherSettings(spec=spec), replies=replies)


async def test_a_models_name_may_hold_an_at_sign(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        teacher = open_teacher(
            TeacherSettings(spec="openai:org/model@v2@http://127.0.0.1:1/v1/", revision="abc"), replies=replies
        )
        described = teacher.describe("judge", Sampling())
        assert (described.model, described.endpoint) == ("org/model@v2", "http://127.0.0.1:1/v1")
        assert described.revision == "abc"
        await teacher.close()
