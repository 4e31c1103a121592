"""Nothing that was paid for is lost, nothing is paid for twice, and every call that is sent is booked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hardcut.engine.budget import CallBudget, current_stage
from hardcut.engine.ledger import Ledger
from hardcut.engine.reply_cache import ReplyCache
from hardcut.engine.status import read_status
from hardcut.media.frames import Frame
from hardcut.schemas.errors import BudgetReached, UsageError
from hardcut.schemas.records import Sampling, Tokens
from hardcut.schemas.resources import Budget
from hardcut.schemas.teachers import Price
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Refusal, Reply, Request
from hardcut.teacher.server.openai import OpenAITeacher


@pytest.fixture(autouse=True)
def stage() -> Iterator[None]:
    token = current_stage.set("scores")
    yield
    current_stage.reset(token)


@pytest.fixture
def judgments(inputs: dict[str, Any]) -> list[Request]:
    return [Request("judge", {**inputs["judge"], "query": f"query {n}"}, Sampling()) for n in range(6)]


@contextmanager
def opened(run: Path, url: str, calls: int | None = None) -> Iterator[tuple[CachedTeacher, Ledger]]:
    """A teacher as a run has it, and the run's books."""
    with ReplyCache(run / "replies.sqlite") as replies, Ledger(run / "run") as ledger:
        backend = OpenAITeacher("m", url, attempts=3, backoff_s=0.01, timeout_s=5.0)
        yield CachedTeacher(backend, replies, CallBudget(ledger, Budget(calls=calls))), ledger


COLUMNS = "stage, teacher, calls, prompt_tokens, completion_tokens"


def booked(ledger: Ledger) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in ledger.database.read(f"SELECT {COLUMNS} FROM spend ORDER BY stage, teacher")]


async def test_a_second_run_asks_nothing_and_gets_the_same(
    tmp_path: Path, teacher_server: Any, judgments: list[Request], inputs: dict[str, Any]
) -> None:
    requests = [*judgments, Request("caption", inputs["caption"], Sampling(), reply=CaptionReply)]
    outcomes = []
    for _ in range(2):
        with opened(tmp_path, teacher_server.url) as (teacher, ledger):
            outcomes.append(await teacher.complete(requests))
            await teacher.close()
            books = booked(ledger)
    assert outcomes[0] == outcomes[1] and all(isinstance(outcome, Reply) for outcome in outcomes[0])
    assert teacher_server.total_asked == 7
    assert books == [("scores", f"openai:m@{teacher_server.url}", 7, 700, 70)]


async def test_only_what_is_missing_is_asked(tmp_path: Path, teacher_server: Any, judgments: list[Request]) -> None:
    with opened(tmp_path, teacher_server.url) as (teacher, _):
        first = await teacher.complete(judgments[2:4])
        outcomes = await teacher.complete(judgments)
        assert outcomes[2:4] == first and teacher_server.total_asked == 6
        await teacher.complete([replace(judgments[0], sampling=Sampling(seed=7))])
        assert teacher_server.total_asked == 7
        await teacher.close()


async def test_the_same_question_at_the_same_time_is_asked_once(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    teacher_server.latency_s = 0.1
    with opened(tmp_path, teacher_server.url) as (teacher, _):
        twice, other = await asyncio.gather(
            teacher.complete([judgments[0], judgments[0], judgments[1]]), teacher.complete(judgments[:3])
        )
        assert twice[0] == twice[1] == other[0] and twice[2] == other[1]
        assert teacher_server.total_asked == 3 and max(teacher_server.asked.values()) == 1
        await teacher.close()


async def test_who_waits_for_a_question_that_is_given_up_asks_it_itself(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    teacher_server.latency_s = 0.2
    with opened(tmp_path, teacher_server.url) as (teacher, _):
        first = asyncio.create_task(teacher.complete(judgments[:1]))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(teacher.complete(judgments[:1]))
        await asyncio.sleep(0.05)
        first.cancel()
        (outcome,) = await second
        assert isinstance(outcome, Reply) and first.cancelled()
        await teacher.close()


async def test_refusals_are_not_kept_and_their_calls_are_booked(
    tmp_path: Path, teacher_server: Any, inputs: dict[str, Any]
) -> None:
    request = Request("caption", inputs["caption"], Sampling(), reply=CaptionReply)
    with opened(tmp_path, teacher_server.url) as (teacher, ledger):
        teacher_server.fail(500, "wrong_schema", "wrong_json")
        (refusal,) = await teacher.complete([request])
        assert isinstance(refusal, Refusal) and refusal.reason == "invalid_reply"
        await teacher.close()
        assert [row[2] for row in booked(ledger)] == [3] and teacher_server.total_asked == 3
        (reply,) = await teacher.complete([request])
        assert isinstance(reply, Reply) and teacher_server.total_asked == 4
        await teacher.close()
        assert booked(ledger)[0][2:] == (4, 300, 30)  # the 500 took no tokens


@pytest.mark.parametrize("faults", [(), (429, 503, 500), ("drop", "half"), ("not_json", "wrong_json"), (400,), (401,)])
async def test_what_has_ended_is_not_in_flight_however_it_ended(
    tmp_path: Path, teacher_server: Any, judgments: list[Request], faults: tuple[str | int, ...]
) -> None:
    with ReplyCache(tmp_path / "replies.sqlite") as replies, Ledger(tmp_path / "run") as ledger:
        budget = CallBudget(ledger)
        backend = OpenAITeacher("m", teacher_server.url, attempts=6, backoff_s=0.01, timeout_s=5.0)
        teacher = CachedTeacher(backend, replies, budget)
        teacher_server.fail(*faults)
        with suppress(UsageError):  # 401 ends the run
            await teacher.complete(judgments)
        await teacher.close()
        told = budget.activity.read()
    assert (told.in_flight, told.calls) == (0, teacher_server.total_asked) and told.calls
    assert told.in_flight_s > 0


@pytest.mark.parametrize("count", ["1" + "0" * 30, "-5", "12.5", "NaN", '"7"', "9e99"])
async def test_an_absurd_count_of_tokens_fails_one_reply_and_nothing_else(
    tmp_path: Path, teacher_server: Any, judgments: list[Request], count: str
) -> None:
    with opened(tmp_path, teacher_server.url) as (teacher, ledger):
        await teacher.complete(judgments[:1])
        teacher_server.usage = f'{{"prompt_tokens": {count}, "completion_tokens": 10}}'
        (refusal,) = await teacher.complete(judgments[1:2])
        assert isinstance(refusal, Refusal) and refusal.reason == "unreadable" and refusal.raw
        teacher_server.usage = '{"prompt_tokens": 100, "completion_tokens": 10}'
        assert all(isinstance(each, Reply) for each in await teacher.complete(judgments[2:]))
        await teacher.close()
        assert teacher_server.total_asked == 6, "it is paid for, and not asked for again"
        ((_, _, calls, prompt, completion, *_),) = booked(ledger)
        assert calls == 6 and 500 < prompt < 5000 and 50 < completion < 2000, "what it took is an estimate"


async def test_a_budget_holds_over_several_starts_and_keeps_what_it_paid_for(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    teacher_server.latency_s = 0.02
    teacher_server.fail(429)
    for limit, served in ((4, 3), (4, 3), (7, 6)):  # the 429 was a call, too
        with opened(tmp_path, teacher_server.url, limit) as (teacher, _):
            if served < 6:
                with pytest.raises(BudgetReached):
                    await teacher.complete(judgments)
            else:
                await teacher.complete(judgments)
            await teacher.close()
        assert teacher_server.total_asked <= limit and teacher_server.total_served == served
    assert max(teacher_server.served.values()) == 1


@pytest.mark.parametrize("usage", [None, "null", "{}", '{"prompt_tokens": 0, "completion_tokens": 0}'])
async def test_calls_that_nobody_counts_are_estimated_from_texts_and_frames(
    tmp_path: Path, teacher_server: Any, judgments: list[Request], usage: str | None
) -> None:
    """No reply is refused for it."""
    picture = tmp_path / "frame.jpg"
    Image.new("RGB", (640, 352)).save(picture)
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
    shown = tuple(Frame(picture, float(n), sha256) for n in range(8))
    teacher_server.usage = usage
    requests = [replace(judgment, frames=shown) for judgment in judgments]
    with opened(tmp_path, teacher_server.url) as (teacher, ledger):
        replies = await teacher.complete(requests)
        assert all(isinstance(reply, Reply) and reply.tokens == Tokens() for reply in replies)
        await teacher.close()
        (spend,) = read_status(ledger.run).spend
    asked = teacher_server.bodies[0]["messages"]
    words = len(asked[0]["content"].split()) + len(asked[1]["content"][-1]["text"].split())
    assert spend.calls == 6 and spend.prompt_tokens == spend.estimated_prompt_tokens
    assert 8 * 220 + words < spend.prompt_tokens / 6 < 8 * 240 + 4 * words, "8 pictures of 220 tokens, and the text"
    written = [reply.text for reply in replies if isinstance(reply, Reply)]
    assert sum(len(text.split()) for text in written) < spend.estimated_completion_tokens < sum(map(len, written))


async def test_a_budget_holds_where_nobody_counts(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    teacher_server.usage = None
    with ReplyCache(tmp_path / "replies.sqlite") as replies, Ledger(tmp_path / "run") as ledger:
        backend = OpenAITeacher("m", teacher_server.url, concurrency=1)
        price = Price(prompt=1000.0, completion=1000.0)
        teacher = CachedTeacher(backend, replies, CallBudget(ledger, Budget(money=1.0)), price)
        with pytest.raises(BudgetReached, match="are an estimate"):
            await teacher.complete(judgments)
        await teacher.close()
    assert 1 <= teacher_server.total_asked < 6


@pytest.mark.parametrize("fault", ["half", "not_json", "hang", "truncated", "wrong_json"])
async def test_what_was_paid_for_and_could_not_be_read_is_booked(
    tmp_path: Path, teacher_server: Any, inputs: dict[str, Any], fault: str
) -> None:
    request = Request("caption", inputs["caption"], Sampling(), reply=CaptionReply)
    with ReplyCache(tmp_path / "replies.sqlite") as replies, Ledger(tmp_path / "run") as ledger:
        backend = OpenAITeacher("m", teacher_server.url, attempts=2, backoff_s=0.01, timeout_s=1.0)
        teacher = CachedTeacher(backend, replies, CallBudget(ledger))
        teacher_server.fail(fault)
        await teacher.complete([request])
        await teacher.close()
        (spend,) = read_status(ledger.run).spend
    told = fault in ("truncated", "wrong_json")
    assert spend.calls == (1 if fault == "truncated" else 2)
    assert (spend.estimated_prompt_tokens == 0) == told
    assert spend.prompt_tokens > (99 if told else 100 + 300), "the server's count, or an estimate beside the reply's"


async def test_replies_under_an_address_as_it_was_written_are_found(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    """Version 26e4c37 had the address in its keys, as it was written."""
    written = teacher_server.url.replace("http://", "HTTP://")
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        backend = OpenAITeacher("m", written)
        questions = backend.prepare(judgments)
        for now, plain in zip(questions, OpenAITeacher("m", teacher_server.url).prepare(judgments), strict=True):
            assert now.key == plain.key and len(plain.former) == 2
            assert {*plain.former} < {*now.former} and len(now.former) == 3
            assert now.teacher.endpoint == teacher_server.url
        first = CachedTeacher(backend, replies)
        asked = await first.complete(judgments)
        kept = replies.get_many([question.key for question in questions])
    with ReplyCache(tmp_path / "as-it-was.sqlite") as replies:
        for question in questions:
            await replies.put(question.former[2], kept[question.key])
        assert await CachedTeacher(backend, replies).complete(judgments) == asked
    await backend.close()
    assert teacher_server.total_asked == len(judgments)


async def test_what_is_booked_under_an_address_as_it_was_written_is_priced(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        before = CallBudget(ledger)
        await before.reserve("scores", "openai:m@HTTP://Host:80/v1")
        before.spent("scores", "openai:m@HTTP://Host:80/v1", 600, 60)
        await before.close()
        budget = CallBudget(ledger, Budget(money=0.0006))
        CachedTeacher(OpenAITeacher("m", "http://host/v1/"), None, budget, Price(prompt=1.0, completion=1.0))
        with pytest.raises(BudgetReached, match=r"raise budget\.money"):
            await budget.reserve("scores", "openai:m@http://host/v1")


async def test_a_reply_that_no_longer_fits_is_asked_for_again(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    with opened(tmp_path, teacher_server.url) as (teacher, _):
        await teacher.complete(judgments[:1])
        key = OpenAITeacher("m", teacher_server.url).prepare(judgments[:1])[0].key
        with ReplyCache(tmp_path / "replies.sqlite") as replies:
            await replies.put(key, '{"text": "of another layout"}')
        (outcome,) = await teacher.complete(judgments[:1])
        assert isinstance(outcome, Reply) and teacher_server.total_asked == 2
        await teacher.close()


async def test_a_kept_verdict_that_contradicts_its_log_probabilities_is_no_reply(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    with opened(tmp_path, teacher_server.url) as (teacher, _):
        (honest,) = await teacher.complete(judgments[:1])
        assert isinstance(honest, Reply) and honest.answer
        key = OpenAITeacher("m", teacher_server.url).prepare(judgments[:1])[0].key
        with ReplyCache(tmp_path / "replies.sqlite") as replies:
            kept = json.loads(replies.get(key) or "")
            kept["answer"]["verdict"] = "no" if honest.answer.verdict == "yes" else "yes"
            await replies.put(key, json.dumps(kept))
        assert await teacher.complete(judgments[:1]) == [honest]
        assert teacher_server.total_asked == 2
        await teacher.close()


async def test_a_kept_reply_that_was_changed_is_none(
    tmp_path: Path, teacher_server: Any, judgments: list[Request], caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path, teacher_server.url) as (teacher, _):
        honest = await teacher.complete(judgments[:2])
        await teacher.close()
    change = sqlite3.connect(tmp_path / "replies.sqlite")
    with change:
        assert change.execute("UPDATE reply SET body = replace(body, 'yes', 'no')").rowcount == 2
    change.close()
    with opened(tmp_path, teacher_server.url) as (teacher, _):
        assert await teacher.complete(judgments[:2]) == honest
        assert teacher_server.total_asked == 4 and caplog.text.count("is damaged: it is asked for again") == 2
        assert await teacher.complete(judgments[:2]) == honest and teacher_server.total_asked == 4
        await teacher.close()


def processes(run: Path, url: str, count: int) -> Iterator[CachedTeacher]:
    """Teachers that share a cache as teachers of different processes do."""
    for _ in range(count):
        yield CachedTeacher(OpenAITeacher("m", url, concurrency=2, backoff_s=0.01), ReplyCache(run / "replies.sqlite"))


async def in_flight(server: Any, calls: int) -> None:
    async with asyncio.timeout(10):
        while server.in_flight < calls:  # noqa: ASYNC110 - the server counts in a thread of its own
            await asyncio.sleep(0.01)


async def closed(*teachers: CachedTeacher) -> None:
    for teacher in teachers:
        await teacher.close()
        assert teacher._replies
        teacher._replies.close()


async def test_of_several_processes_one_asks_and_the_others_wait_for_it(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    teacher_server.latency_s = 0.2
    teachers = list(processes(tmp_path, teacher_server.url, 4))
    outcomes = await asyncio.gather(*(teacher.complete(judgments) for teacher in teachers))
    assert teacher_server.total_asked == len(judgments)
    assert all(outcome == outcomes[0] for outcome in outcomes) and all(isinstance(o, Reply) for o in outcomes[0])
    await closed(*teachers)


async def test_waiting_for_another_process_keeps_nobody_from_asking(
    tmp_path: Path, teacher_server: Any, judgments: list[Request]
) -> None:
    """Neither the loop nor a place among the calls in flight (two here) is taken while one waits."""
    slow, other = processes(tmp_path, teacher_server.url, 2)
    for n, teacher in enumerate((slow, other)):  # the first question to a server is asked alone
        await teacher.complete([replace(judgments[0], inputs={**judgments[0].inputs, "query": f"first of {n}"})])
    teacher_server.latency_s = 1.0
    asking = asyncio.create_task(slow.complete(judgments[:2]))
    await in_flight(teacher_server, 2)
    teacher_server.latency_s = 0.0
    waiting = [asyncio.create_task(other.complete(judgments[:2])) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert all(isinstance(outcome, Reply) for outcome in await other.complete(judgments[2:]))
    assert not any(task.done() for task in (asking, *waiting))
    for outcomes in await asyncio.gather(*waiting):
        assert outcomes == await asking
    assert max(teacher_server.asked.values()) == 1
    await closed(slow, other)


@pytest.mark.parametrize("how", ["refused", "budget", "cancelled", "server gone"])
async def test_what_one_process_gives_up_another_asks(
    tmp_path: Path, teacher_server: Any, judgments: list[Request], how: str
) -> None:
    one, other = processes(tmp_path, teacher_server.url, 2)
    if how == "budget":
        one._budget = CallBudget(Ledger(tmp_path / "run"), Budget(calls=1))
    if how in ("refused", "server gone"):
        teacher_server.fail(*[400 if how == "refused" else 401] * 50)
    teacher_server.latency_s = 0.3
    asking = asyncio.create_task(one.complete(judgments))
    await in_flight(teacher_server, 1)
    waiting = asyncio.create_task(other.complete(judgments))
    await asyncio.sleep(0.05)
    if how == "cancelled":
        asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    teacher_server.faults.clear()
    assert all(isinstance(outcome, Reply) for outcome in await asyncio.wait_for(waiting, 10))
    await closed(one, other)


_PROGRAM = """
    import asyncio, json, sys
    from pathlib import Path
    from hardcut.engine.budget import CallBudget, current_stage
    from hardcut.engine.ledger import Ledger
    from hardcut.engine.reply_cache import ReplyCache
    from hardcut.schemas.records import Sampling
    from hardcut.teacher.cached import CachedTeacher
    from hardcut.teacher.server.openai import OpenAITeacher
    from hardcut.teacher.protocol import Request

    async def main(run, url, inputs, count):
        current_stage.set("scores")
        requests = [Request("judge", {**inputs, "query": f"query {n}"}, Sampling()) for n in range(count)]
        with ReplyCache(run / "replies.sqlite") as replies, Ledger(run / "run") as ledger:
            backend = OpenAITeacher("m", url, concurrency=64)
            teacher = CachedTeacher(backend, replies, CallBudget(ledger))
            outcomes = await teacher.complete(requests)
            await teacher.close()
        print(json.dumps([outcome.text for outcome in outcomes]))

    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])))
"""


def test_killed_in_the_middle_at_most_what_was_in_flight_is_paid_twice(
    tmp_path: Path, teacher_server: Any, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDCUT_API_KEY", "planted-secret-key")
    teacher_server.latency_s = 0.2
    count, in_flight = 256, 64
    program = [sys.executable, "-c", textwrap.dedent(_PROGRAM)]
    command = [*program, str(tmp_path), teacher_server.url, json.dumps(inputs["judge"]), str(count)]
    kills = 0
    for stop_at in (40, 100, 160):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while teacher_server.total_served < stop_at and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert kills == 3 and teacher_server.most_in_flight == in_flight
    assert len(json.loads(done.stdout)) == count == len(teacher_server.served)
    assert teacher_server.total_served <= count + kills * in_flight
    before = teacher_server.total_asked
    again = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert again.stdout == done.stdout and teacher_server.total_asked == before
    assert teacher_server.keys_seen == {"Bearer planted-secret-key"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path for path in files if b"planted-secret-key" in path.read_bytes()]
