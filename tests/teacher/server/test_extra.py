"""Further fields of a request: sent as they are, and part of who answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling, TeacherLabel, TeacherRef
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.registry import open_teacher

THINK = '{"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": true}}'
QUIET = '{"chat_template_kwargs": {"enable_thinking": false}}'
REQUEST = Request(
    "judge", {"video": {"duration_s": 3.0}, "evidence": [], "caption": None, "query": "a dog"}, Sampling()
)


async def asked(cache: ReplyCache, url: str, extra: str | None, profiles: Path | None = None) -> Reply:
    settings = TeacherSettings(spec=f"openai:judge@{url}", extra=extra)
    teacher = open_teacher(settings, replies=cache, profiles=profiles)
    try:
        [outcome] = await teacher.complete([REQUEST])
    finally:
        await teacher.close()
    assert isinstance(outcome, Reply)
    return outcome


async def test_fields_are_sent_and_tell_teachers_apart(tmp_path: Path, teacher_server: Any) -> None:
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        plain = await asked(cache, teacher_server.url, None)
        thinking = await asked(cache, teacher_server.url, THINK)
        quiet = await asked(cache, teacher_server.url, QUIET)
        turned = json.dumps(dict(reversed(json.loads(THINK).items())))
        again = await asked(cache, teacher_server.url, turned)
    assert teacher_server.total_served == 3, "the same fields in another order are the same teacher"
    sent = [{name: body[name] for name in body if name in json.loads(THINK)} for body in teacher_server.bodies]
    assert sent == [{}, json.loads(THINK), json.loads(QUIET)]
    assert plain.teacher.extra is None and again.teacher == thinking.teacher != quiet.teacher
    assert json.loads(str(thinking.teacher.extra)) == json.loads(THINK)


async def test_an_endpoint_is_known_apart_for_each(tmp_path: Path, teacher_server: Any) -> None:
    """What a model can do may hang on them: where its thoughts are, say."""
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        await asked(cache, teacher_server.url, None, tmp_path / "profiles")
        before = len(teacher_server.small)
        await asked(cache, teacher_server.url, QUIET, tmp_path / "profiles")
        assert len(teacher_server.small) > before > 0
        assert teacher_server.small[-1]["chat_template_kwargs"] == {"enable_thinking": False}


def test_records_without_them_are_what_they_were() -> None:
    """Keys of runs and of replies go by them."""
    told = TeacherRef(backend="openai", model="m").model_dump(mode="json")
    assert "extra" not in told
    label = TeacherLabel.create(
        pair_id="p", query_id="q", video_id="v", verdict="yes", teacher=TeacherRef(backend="b", model="m", extra=QUIET)
    )
    assert TeacherLabel.model_validate_json(label.model_dump_json()) == label


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ("{", "is no JSON"),
        ("[1]", "is no JSON object"),
        ("{}", "is no JSON object"),
        ('{"temperature": 1}', "temperature is set by Hardcut: see teacher.sampling"),
        ('{"messages": []}', "messages is set by Hardcut"),
    ],
)
def test_what_cannot_be_sent_is_told(extra: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load_settings(None, {"teacher.spec": "openai:m@http://127.0.0.1:1/v1", "teacher.extra": extra})


def test_only_servers_take_them() -> None:
    with pytest.raises(UsageError, match=r"teacher 'evidence': teacher\.extra is for openai:MODEL@URL alone"):
        open_teacher(TeacherSettings(spec="evidence", extra=QUIET))
