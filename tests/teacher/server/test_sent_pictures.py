"""A server that keeps pictures under names is sent each once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.reply_cache import ReplyCache
from hardcut.media.frames import Frame
from hardcut.schemas.records import Sampling
from hardcut.teacher.cached import CachedTeacher
from hardcut.teacher.needs import Need
from hardcut.teacher.prompts.reply_models import CaptionReply
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.server.openai import OpenAITeacher
from hardcut.teacher.server.profile import Profiles

NEEDS = (Need("captions", True), Need("judges", True))


@pytest.fixture
def frames(tmp_path: Path) -> tuple[Frame, ...]:
    """Three pictures, as far as a server that does not look at them can tell."""
    found = []
    for number in range(3):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"\xff\xd8" + bytes([number]) * 2000)
        found.append(Frame(path, number / 2, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(found)


def judgments(inputs: dict[str, Any], frames: tuple[Frame, ...], first: int = 0) -> list[Request]:
    asked = [{**inputs["judge"], "query": f'"grand hotel" {number}'} for number in range(first, first + 6)]
    return [Request("judge", each, Sampling(), frames) for each in asked]


def opened(server: Any, tmp_path: Path, replies: ReplyCache | None = None) -> CachedTeacher:
    profiles = Profiles(tmp_path / "profiles")
    teacher = OpenAITeacher("some/model", server.url, profiles=profiles, needs=NEEDS, attempts=2, backoff_s=0.01)
    return CachedTeacher(teacher, replies)


def whole(server: Any) -> int:
    """Pictures that came whole since the last look."""
    found, server.pictures_sent = server.pictures_sent, 0
    return int(found)


async def test_a_picture_is_sent_once(
    teacher_server: Any, inputs: dict[str, Any], frames: tuple[Frame, ...], tmp_path: Path
) -> None:
    teacher_server.tokenizes = teacher_server.keeps_pictures = True
    teacher = opened(teacher_server, tmp_path)
    assert "keeps pictures" in await teacher.ping()
    found = await teacher.complete(judgments(inputs, frames))
    assert all(isinstance(reply, Reply) and reply.answer for reply in found) and whole(teacher_server) == 3
    caption = Request("caption", inputs["caption"], Sampling(), frames, CaptionReply)
    reference = [replace(each, reference=frames[:1]) for each in judgments(inputs, frames[1:], 10)]
    found = [*await teacher.complete([caption]), *await teacher.complete(reference)]
    assert all(isinstance(reply, Reply) for reply in found) and whole(teacher_server) == 0, "also in another place"
    assert set(teacher_server.kept) >= {frame.sha256 for frame in frames}
    size = max(len(str(body)) for body in teacher_server.bodies[1:])
    assert size < len(str(teacher_server.bodies[0])) / 2, "names alone are small"
    await teacher.close()


async def test_what_a_server_has_let_go_of_is_sent_again(
    teacher_server: Any, inputs: dict[str, Any], frames: tuple[Frame, ...], tmp_path: Path
) -> None:
    teacher_server.tokenizes = teacher_server.keeps_pictures = True
    teacher = opened(teacher_server, tmp_path)
    await teacher.complete(judgments(inputs, frames))
    whole(teacher_server)
    teacher_server.kept.clear()  # it was started anew, say
    found = await teacher.complete(judgments(inputs, frames, 6))
    assert all(isinstance(reply, Reply) for reply in found)
    assert 3 <= whole(teacher_server) <= 18, "those that were on their way come whole, once each"
    await teacher.complete(judgments(inputs, frames, 12))
    assert whole(teacher_server) == 0
    await teacher.close()


@pytest.mark.parametrize("kind", ["plain", "tokens", "sglang", "openai"])
async def test_another_server_is_sent_no_names(
    teacher_server: Any, manners: dict[str, Any], inputs: dict[str, Any], frames: tuple[Frame, ...], tmp_path: Path,
    kind: str,
) -> None:  # fmt: skip
    """Also where it tells tokens, and takes whatever it does not know."""
    teacher_server.tokenizes = kind == "tokens"
    teacher_server.manner = manners.get(kind)
    teacher = opened(teacher_server, tmp_path)
    assert "keeps pictures" not in await teacher.ping()
    found = await teacher.complete(judgments(inputs, frames))
    assert all(isinstance(reply, Reply) for reply in found) and whole(teacher_server) == 18
    assert not any("uuid" in str(body) for body in teacher_server.bodies)
    await teacher.close()


async def test_names_are_no_part_of_a_key(
    teacher_server: Any, second_server: Any, inputs: dict[str, Any], frames: tuple[Frame, ...], tmp_path: Path
) -> None:
    """What one server answered to names is not asked of another that has none."""
    teacher_server.tokenizes = teacher_server.keeps_pictures = True
    with ReplyCache(tmp_path / "replies.sqlite") as replies:
        for server in (teacher_server, second_server):
            teacher = opened(server, tmp_path, replies)
            await teacher.complete(judgments(inputs, frames))
            await teacher.close()
    assert teacher_server.total_asked == 6 and second_server.total_asked == 0
