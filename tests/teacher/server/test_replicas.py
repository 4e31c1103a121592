"""Several servers of one model: the load is shared, prefixes are kept, one that dies costs nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from hardcut.engine.budget import current_stage
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.server.openai import OpenAITeacher
from hardcut.teacher.server.replicas import Replicas

QUERIES = 6


@pytest.fixture
def servers(teacher_server: Any) -> Iterator[list[Any]]:
    """Two servers of one model."""
    with type(teacher_server)() as second:
        yield [teacher_server, second]


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


def replicas(urls: Sequence[str], **options: Any) -> Replicas:
    return Replicas(
        [
            OpenAITeacher("judge", url, others=[each for each in urls if each != url], concurrency=4, backoff_s=0.01)
            for url in urls
        ],
        **options,
    )


def judgments(inputs: dict[str, Any], video: int) -> list[Request]:
    told = {**inputs["judge"], "video": {"duration_s": 20.0 + video}}
    return [Request("judge", {**told, "query": f'"grand hotel" {number}'}, Sampling()) for number in range(QUERIES)]


async def _rate(urls: Sequence[str], inputs: dict[str, Any], videos: Sequence[int], dying: Any = None) -> float:
    """Questions a second, none of them lost; one server dies in the middle, where one is said to."""
    teacher = replicas(urls)
    try:
        await asyncio.gather(*(CachedTeacher(teacher).complete(judgments(inputs, 1000 + video)) for video in range(6)))
        begun = monotonic()
        if dying:
            asyncio.get_running_loop().call_later(1.0, _die, dying)
        found = await asyncio.gather(*(CachedTeacher(teacher).complete(judgments(inputs, video)) for video in videos))
        assert all(isinstance(reply, Reply) for replies in found for reply in replies)
        return len(videos) * QUERIES / (monotonic() - begun)
    finally:
        await teacher.close()


def _die(server: Any) -> None:
    server.latency_s = 0.0
    server.fail_always("drop")


def _computed(servers: Sequence[Any]) -> int:
    """Prefixes that these servers had not kept when they were asked."""
    return sum(server.total_asked - server.prefix_hits for server in servers)


async def test_two_serve_twice_as_much_as_one_while_a_third_dies(servers: list[Any], inputs: dict[str, Any]) -> None:
    """Time passes at the servers, so that other work on this machine counts for little; three rounds at most, of other
    videos each. A video's prefix is computed once at whoever is asked about it: (Q-1)/Q of all questions find it."""
    rounds = []
    for number in range(3):
        with type(servers[0])() as third:
            for server in (*servers, third):
                server.latency_s = 0.8
            first = 100 * number
            one = await _rate([servers[0].url], inputs, range(first, first + 4))
            before = _computed(servers)
            two = await _rate([server.url for server in servers], inputs, range(first + 10, first + 18))
            assert _computed(servers) - before <= 8 + 6, "8 videos, and the 6 of the beginning at one more server"
            before = _computed(servers)
            every = [*(server.url for server in servers), third.url]
            dying = await _rate(every, inputs, range(first + 20, first + 34), third)
            assert _computed(servers) - before <= 14 + 6, "also what went over from the one that died"
        rounds.append((two / one, dying / one))
        print(f"one {one:.2f} questions a second; two {two / one:.2f} times, a third that dies {dying / one:.2f}")
        best_two, best_dying = (max(each) for each in zip(*rounds, strict=True))
        if best_two >= 1.9 and best_dying >= 1.8:
            break
    assert best_two >= 1.9, f"{rounds}: 1.88 to 2.08 measured beside other work"
    assert best_dying >= 1.8, f"{rounds}: 1.79 to 2.07 measured beside other work"


async def test_a_teacher_has_its_own_number_of_requests_in_flight(servers: list[Any], inputs: dict[str, Any]) -> None:
    settings = TeacherSettings(spec=f"openai:judge@{servers[0].url}", concurrency=2)
    servers[0].latency_s = 0.05
    teacher = open_teacher(settings, Resources(concurrency=8))
    current_stage.set("test")
    await asyncio.gather(*(teacher.complete(judgments(inputs, video)) for video in range(3)))
    await teacher.close()
    assert servers[0].most_in_flight == 2


async def test_what_is_asked_about_a_video_goes_to_one_of_them(servers: list[Any], inputs: dict[str, Any]) -> None:
    teacher = replicas([server.url for server in servers])
    for _ in range(2):
        await asyncio.gather(*(CachedTeacher(teacher).complete(judgments(inputs, video)) for video in range(8)))
    await teacher.close()
    where: dict[str, set[int]] = {}
    for at, server in enumerate(servers):
        for body in server.bodies:
            text = body["messages"][1]["content"][-1]["text"]
            where.setdefault(text.partition(" seconds")[0], set()).add(at)
    assert len(where) == 8 and all(len(found) == 1 for found in where.values())
    assert all(server.total_asked >= 2 * QUERIES for server in servers), "both have work"


async def test_one_that_is_not_there_costs_nothing_and_is_tried_again(
    servers: list[Any], nobody: str, inputs: dict[str, Any]
) -> None:
    teacher = replicas([nobody, *(server.url for server in servers)], tried_again_s=0.3)
    found = await asyncio.gather(*(CachedTeacher(teacher).complete(judgments(inputs, video)) for video in range(6)))
    assert all(isinstance(reply, Reply) for replies in found for reply in replies)
    assert sum(server.total_asked for server in servers) == 6 * QUERIES, "nothing is asked twice"
    await teacher.close()
    alone = replicas([nobody], tried_again_s=0.3)
    with pytest.raises(MissingDependency):
        await CachedTeacher(alone).complete(judgments(inputs, 0))
    await alone.close()


async def test_what_one_answered_before_it_died_is_not_asked_again(servers: list[Any], inputs: dict[str, Any]) -> None:
    first, second = servers
    first.fail_always("drop")
    teacher = replicas([server.url for server in servers])
    found = await asyncio.gather(*(CachedTeacher(teacher).complete(judgments(inputs, video)) for video in range(4)))
    await teacher.close()
    assert all(isinstance(reply, Reply) for replies in found for reply in replies)
    assert second.total_served == 4 * QUERIES and first.total_served == 0


async def test_the_same_model_at_another_address_is_asked_nothing_again(
    servers: list[Any], inputs: dict[str, Any], tmp_path: Path
) -> None:
    current_stage.set("test")
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        for spec, urls in [(servers[0].url, ()), (servers[1].url, ()), (servers[1].url, (servers[0].url,))]:
            teacher = open_teacher(TeacherSettings(spec=f"openai:judge@{spec}", urls=urls), replies=replies)
            await teacher.complete(judgments(inputs, 0))
            await teacher.close()
    assert [server.total_asked for server in servers] == [QUERIES, 0]


async def test_a_server_that_has_another_model_is_told(servers: list[Any]) -> None:
    servers[1].models = ("other",)
    teacher = replicas([server.url for server in servers])
    with pytest.raises(UsageError, match="has no model 'judge'"):
        await teacher.ping()
    await teacher.close()
