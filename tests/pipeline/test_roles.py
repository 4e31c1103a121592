"""A teacher for each role: who is asked what, counted at the servers, and what a change of one of them costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import hardcut
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.settings import Settings

TASKS = {
    "You take search queries": "decompose",
    "You describe videos": "caption",
    "You check a caption": "check",
    "You correct claims": "refine",
    "You write search queries": "queries",
    "You write hard negatives": "counterfactual",
    "You judge whether": "judge",
}


def asked(server: Any) -> Counter[str]:
    """What a server was asked, by task."""
    texts = [body["messages"][0]["content"] for body in server.bodies]
    return Counter(next((task for begins, task in TASKS.items() if text.startswith(begins)), "other") for text in texts)


@pytest.fixture
def servers(teacher_server: Any) -> Iterator[list[Any]]:
    """Five: who writes captions, checks, writes queries, and two judges."""
    with ExitStack() as stack:
        yield [teacher_server, *(stack.enter_context(type(teacher_server)()) for _ in range(4))]


def settings(servers: list[Any], **roles: Any) -> Settings:
    names = ["omni", "check", "text", "judge-a", "judge-b"]
    table = {
        "teachers": {
            name: {"spec": f"openai:{name}@{server.url}", "sampling": {"max_frames": 0 if name == "text" else 4}}
            for name, server in zip(names, servers, strict=True)
        },
        "roles": {
            "captions": "omni", "check": "check", "queries": "text", "judges": ["judge-a", "judge-b"], **roles
        },
        "negatives": {"per_query": 2},
        "evidence": {"ocr": "off", "motion": False},
    }  # fmt: skip
    for server, name in zip(servers, names, strict=True):
        server.models = (name,)
    return Settings.model_validate(table)


def test_each_role_is_asked_of_its_teacher_and_a_change_costs_what_depends_on_it(
    servers: list[Any], place: Path, tmp_path: Path
) -> None:
    text = servers[2]

    def run(**roles: Any) -> list[Counter[str]]:
        before = [asked(server) for server in servers]
        done = hardcut.run(
            place / "videos", tmp_path / "run", settings=settings(servers, **roles), cache=tmp_path / "cache"
        )
        assert done.status().finished
        return [asked(server) - was for server, was in zip(servers, before, strict=True)]

    first = run()
    assert set(first[0]) == {"caption"} and set(first[1]) <= {"check", "refine"} and first[1]["check"]
    assert {"queries", "counterfactual"} <= set(first[2]) and not {"caption", "check", "judge"} & set(first[2])
    assert set(first[3]) == set(first[4]) == {"judge"} and first[3] == first[4] + (first[3] - first[4])
    assert not any(part["type"] == "image_url" for body in text.bodies for part in body["messages"][1]["content"]), (
        "a text model is sent no pictures"
    )
    assert run() == [Counter()] * 5, "the same again costs nothing"
    swapped = run(judges=["judge-a"])
    assert swapped == [Counter()] * 5, "the other judge's answers are there"
    other = run(counterfactuals="omni", judges=["judge-a"])
    assert set(other[0]) == {"counterfactual"} and not other[1] and not other[2] and not other[4]
    written = run(queries="check", counterfactuals="text")
    assert set(written[1]) == {"queries"} and not any([written[0], *written[2:]]), "what was written came out the same"
    told = run(captions="judge-b")
    assert set(told[4]) == {"caption"} and not any(told[:4]), "and so did the captions"
    third = run(check="omni")
    assert set(third[0]) == {"check"} and not any(third[1:]), "and the verdicts on them"


@pytest.mark.parametrize(
    ("roles", "words"), [('captions = "omnni"', "omnni"), ('judges = ["a"]', "'a'"), ('caption = "x"', "captions")]
)
def test_a_role_names_a_teacher_that_is_there(roles: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'[teachers.omni]\nspec = "evidence"\n[roles]\n{roles}\n')
    with pytest.raises(UsageError, match=words):
        load_settings(file)


def test_what_no_role_names_is_done_by_the_main_teacher() -> None:
    usual = Settings()
    assert {usual.writer(role) for role in ("captions", "check", "queries", "counterfactuals")} == {usual.teacher}
    assert usual.asked == (usual.teacher,)
    own = Settings.model_validate({"teachers": {"a": {"spec": "evidence", "revision": "1"}}, "roles": {"queries": "a"}})
    assert own.writer("counterfactuals").revision == "1" and own.writer("check") == own.teacher
