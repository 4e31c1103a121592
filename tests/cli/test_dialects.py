"""A run over three clips with a teacher behind every kind of server: it ends, or it stops before the first paid call
with a line that says what is missing and what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import TeacherLabel

Process = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.CompletedProcess[str]]
SMALL = """
[queries]
views = ["caption", "ocr"]
composed = 0
[counterfactuals]
variants = ["negated"]
rounds = 0
[negatives]
per_query = 1
twins = 0
[resources]
max_attempts = 2
"""


@pytest.fixture(scope="module")
def cache(world: Path, hardcut: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames of three clips and a run with their evidence."""
    folder = tmp_path_factory.mktemp("frames")
    config = folder / "settings.toml"
    config.write_text("[evidence]\nmotion = false\nocr_fps = 1\n[media]\nfps = 1\n" + SMALL)
    line = ["--limit", "3", "--until", "evidence", "--config", config, "--out", folder / "run", "--cache", folder]
    done = hardcut("run", world / "videos", *line)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def start(
    world: Path, cache: Path, hardcut: Process, teacher_server: Any, manners: dict[str, Any], tmp_path: Path
) -> Start:
    """Starts a run at a server of that kind; `more` settings come after the small ones."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "frames").symlink_to(cache / "frames")
    shutil.copytree(cache / "run", tmp_path / "run")

    def run(name: str, more: str = "", *line: str) -> subprocess.CompletedProcess[str]:
        teacher_server.manner = manners[name]
        config = tmp_path / "settings.toml"
        config.write_text((cache / "settings.toml").read_text() + more)
        teacher = ["--teacher", f"openai:some/model@{teacher_server.url}", *line]
        folders = ["--out", tmp_path / "run", "--cache", tmp_path / "cache", "--config", config]
        return hardcut("run", world / "videos", "--limit", "3", *folders, *teacher)

    return run


TEXT = "[teacher]\nsampling = {max_frames = 0}\n"
MARGINLESS = "[scores]\nwithout_margin = true\n"
ENDS = [
    ("openai", "", {"form": "loose", "neutral": False}, True),
    ("openai-reasoning", MARGINLESS, {"limit": "max_completion_tokens", "temperature": False, "stop": False}, None),
    ("vllm", "", {"form": "schema", "neutral": True}, True),
    ("sglang", "", {"form": "schema"}, True),
    ("llama.cpp", TEXT, {"form": "schema"}, True),
    ("ollama", MARGINLESS, {"form": "schema"}, None),
    ("ollama-text", TEXT, {"form": "schema"}, True),
    ("litellm", "", {"seed": False}, True),
    ("gemini", MARGINLESS, {"seed": False, "neutral": False}, None),
    ("azure", "", {"most_top": 5, "form": "loose"}, True),
    ("stream-only", "", {"stream": True}, True),
]


@pytest.mark.parametrize(("name", "more", "learned", "margins"), ENDS, ids=[each[0] for each in ENDS])
def test_a_run_ends(
    start: Start,
    teacher_server: Any,
    tmp_path: Path,
    name: str,
    more: str,
    learned: dict[str, Any],
    margins: bool | None,
) -> None:
    done = start(name, more)
    assert done.returncode == 0, done.stdout + done.stderr
    labels = list(read_records(tmp_path / "run" / TeacherLabel.FILE, TeacherLabel))
    assert labels and all(label.verdict != "unparsed" for label in labels)
    assert {label.logit_margin is not None for label in labels} == {bool(margins)}
    assert max(teacher_server.served.values()) == 1, "nothing is paid for twice"
    [kept] = (tmp_path / "cache" / "profiles").glob("*.json")
    dialect = json.loads(kept.read_text())["profile"]["dialect"]
    assert {field: dialect[field] for field in learned} == learned
    assert teacher_server.total_asked == teacher_server.total_served, "all that it refuses was learned before"


def test_a_server_is_asked_once_what_it_can_do(start: Start, teacher_server: Any) -> None:
    """What writers need by the first run, what judges need by the second; and those few calls are booked."""
    asked = []
    for until in ("captions", "scores", "judgments"):
        done = start("azure", "", "--until", until, "--json")
        assert done.returncode == 0, done.stderr
        asked.append(len(teacher_server.small))
    writers, both, after = asked
    assert 1 <= writers < both == after <= 8
    assert all("response_format" in body for body in teacher_server.small[:writers])
    assert all("logprobs" in body for body in teacher_server.small[writers:])
    spent = json.loads(done.stdout)["spend"]
    assert sum(row["calls"] for row in spent) == both + teacher_server.total_asked


STOPS = [
    ("openai-reasoning", "judges", "gives no log-probabilities", "scores.without_margin"),
    ("llama.cpp", "captions", "takes no pictures", "sampling.max_frames = 0"),
    ("ollama", "judges", "gives no log-probabilities", "scores.without_margin"),
    ("ollama-text", "captions", "takes no pictures", "sampling.max_frames = 0"),
    ("gemini", "judges", "gives no log-probabilities", "scores.without_margin"),
]


@pytest.mark.parametrize(("name", "role", "missing", "advice"), STOPS, ids=[each[0] for each in STOPS])
def test_a_run_stops_before_the_first_paid_call(
    start: Start, teacher_server: Any, name: str, role: str, missing: str, advice: str
) -> None:
    stopped = start(name)
    assert stopped.returncode == 2, stopped.stdout + stopped.stderr
    said = stopped.stderr
    assert said.count("\n") == 1 and all(each in said for each in (role, missing, advice, "some/model at http"))
    assert teacher_server.total_asked == 0 and len(teacher_server.small) <= 12


def test_a_role_that_a_run_does_not_reach_stops_nothing(start: Start, teacher_server: Any, tmp_path: Path) -> None:
    """A model without log-probabilities may write captions; and it is asked again before it would stop a run."""
    assert start("gemini", "", "--until", "captions").returncode == 0
    served = teacher_server.total_served
    stopped = start("gemini")
    assert stopped.returncode == 2 and "gives no log-probabilities" in stopped.stderr
    assert teacher_server.total_served == served
    done = start("vllm")
    assert done.returncode == 0, "the server was mended, and what is kept of it does not stand in the way"
