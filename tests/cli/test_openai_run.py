"""A whole run on an `openai:` teacher over real HTTP: nothing is lost, nothing is paid twice, the budget holds."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import TeacherLabel

Process = Callable[..., subprocess.CompletedProcess[str]]
Told = Callable[[str], list[str]]
KEY = "sk-planted-0123456789"


@pytest.fixture(scope="module")
def cache(world: Path, hardcut: Process, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The frames of four videos and a run with their evidence: the tests below spend their time on the teacher."""
    folder = tmp_path_factory.mktemp("frames")
    folders = ["--out", folder / "run", "--cache", folder]
    done = hardcut("run", world / "videos", "--limit", "4", "--until", "evidence", *folders)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def arguments(world: Path, cache: Path, tmp_path: Path) -> Callable[..., list[str | Path]]:
    """The command's arguments for a run against a server, with a reply cache of the test's own."""
    mine = tmp_path / "cache"
    mine.mkdir()
    (mine / "frames").symlink_to(cache / "frames")

    def make(server: Any, name: str = "run", *more: str) -> list[str | Path]:
        if not (tmp_path / name).exists():
            shutil.copytree(cache / "run", tmp_path / name)
        config = tmp_path / "fast.toml"
        config.write_text("[resources]\nrequest_timeout_s = 20\n[queries]\nviews = ['caption', 'ocr', 'speech']\n")
        teacher = f"openai:judge@{server.url}"
        folders = ["--out", tmp_path / name, "--cache", mine, "--config", config]
        return ["run", world / "videos", "--limit", "4", "--teacher", teacher, *folders, *more]

    return make


def _labels(run: Path) -> dict[str, tuple[str, float | None]]:
    return {
        label.pair_id: (label.verdict, label.logit_margin)
        for label in read_records(run / TeacherLabel.FILE, TeacherLabel)
    }


def test_faults_lose_nothing_and_nothing_is_paid_twice(
    arguments: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    teacher_server.fail(429, retry_after="0.2")
    teacher_server.fail(500, "drop", "half", "not_json", "wrong_schema", 503)
    done = hardcut(*arguments(teacher_server))
    assert done.returncode == 0, done.stdout + done.stderr
    assert max(teacher_server.served.values()) == 1, "no request was served twice"
    labels = _labels(tmp_path / "run")
    assert labels and all(verdict != "unparsed" for verdict, _ in labels.values())

    asked = teacher_server.total_asked
    again = hardcut(*arguments(teacher_server, "another-run"))
    assert again.returncode == 0, again.stderr
    assert teacher_server.total_asked == asked, "every reply came out of the cache"
    assert _labels(tmp_path / "another-run") == labels


def test_a_key_that_the_server_refuses_ends_the_run_with_one_line_and_fails_no_video(
    arguments: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, told: Told, tmp_path: Path
) -> None:
    teacher_server.fail(*[401] * 8)
    refused = hardcut(*arguments(teacher_server))
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "HARDCUT_API_KEY" in refused.stderr and len(told(refused.stderr)) == 1
    assert json.loads(hardcut("status", tmp_path / "run", "--json").stdout)["failed"] == []
    teacher_server.faults.clear()
    done = hardcut(*arguments(teacher_server))
    assert done.returncode == 0, "nothing has to be tried again by hand"


def test_a_kill_in_the_middle_pays_twice_for_what_was_in_flight_only(
    arguments: Callable[..., list[str | Path]],
    command: list[str],
    environment: dict[str, str],
    hardcut: Process,
    teacher_server: Any,
    tmp_path: Path,
) -> None:
    teacher_server.latency_s = 0.15
    line = [*command, *map(str, arguments(teacher_server))]
    allowed = 0
    for wanted in (3, 9):
        process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while teacher_server.total_served < wanted and process.poll() is None:
            assert time.monotonic() < until, "the teacher is not asked"
            time.sleep(0.01)
        process.kill()
        process.wait()
        allowed += teacher_server.most_in_flight
    done = hardcut(*arguments(teacher_server))
    assert done.returncode == 0, done.stdout + done.stderr
    twice = teacher_server.total_served - len(teacher_server.served)
    assert twice <= allowed, f"{twice} replies paid twice, {allowed} were in flight"
    assert max(teacher_server.served.values()) <= 3


def test_metrics_count_what_the_server_was_sent(
    arguments: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    path = tmp_path / "metrics.jsonl"
    done = hardcut(*arguments(teacher_server), "--metrics", path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    last = lines[-1]
    assert [line["ended"] for line in lines] == [*[False] * (len(lines) - 1), True]
    assert last["calls"] == teacher_server.total_asked + len(teacher_server.small) and last["in_flight"] == 0
    spent = json.loads(hardcut("status", tmp_path / "run", "--json").stdout)["spend"]
    assert last["calls"] == sum(row["calls"] for row in spent)
    assert last["completion_tokens"] == sum(row["completion_tokens"] for row in spent) > 0
    stages = {stage["stage"]: stage for stage in last["stages"]}
    assert stages["captions"]["done"] == stages["captions"]["total"] == 4 and "evidence" not in stages
    assert all(stage["finished"] for stage in stages.values())
    again = hardcut(*arguments(teacher_server), "--metrics", path)
    assert again.returncode == 0 and path.read_text("utf-8").startswith(json.dumps(lines[0]))


def test_the_budget_is_a_hard_stop_that_can_be_raised(
    arguments: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, told: Told, tmp_path: Path
) -> None:
    for _ in range(2):
        stopped = hardcut(*arguments(teacher_server, "run", "--budget", "6"))
        assert stopped.returncode == 3, stopped.stderr
        *earlier, last = told(stopped.stderr)
        assert last.startswith("hardcut: 6 of 6 teacher calls are spent: raise budget.calls"), stopped.stderr
        # Where the last call was one of a later stage, a line says that the stages before it are finished first.
        assert len(earlier) <= 1 and all("is finished first" in line for line in earlier), stopped.stderr
        assert teacher_server.total_asked + len(teacher_server.small) == 6
    stopped = hardcut(*arguments(teacher_server, "run", "--budget", "6"), "--json")
    assert stopped.returncode == 3
    assert json.loads(stopped.stdout)["finished"] is False, "a script learns how far it came"
    assert (tmp_path / "run" / "report.html").is_file()
    spent = json.loads(hardcut("status", tmp_path / "run", "--json").stdout)["spend"]
    assert sum(row["calls"] for row in spent) == 6
    done = hardcut(*arguments(teacher_server, "run", "--budget", "1000"))
    assert done.returncode == 0, done.stderr
    assert max(teacher_server.served.values()) == 1


def test_the_budget_holds_over_three_starts_and_a_kill(
    arguments: Callable[..., list[str | Path]],
    command: list[str],
    environment: dict[str, str],
    hardcut: Process,
    teacher_server: Any,
    tmp_path: Path,
) -> None:
    budget = 9
    line = [*command, *map(str, arguments(teacher_server, "run", "--budget", str(budget)))]
    teacher_server.latency_s = 0.3
    process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while teacher_server.total_asked < 2 and process.poll() is None:
        assert time.monotonic() < until, "the teacher is not asked"
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9, "it was killed with calls in flight"
    time.sleep(0.5)  # what was on its way arrives
    killed_after = teacher_server.total_asked + len(teacher_server.small)
    assert 2 <= killed_after < budget
    booked = sum(row["calls"] for row in json.loads(hardcut("status", tmp_path / "run", "--json").stdout)["spend"])
    lost = booked - killed_after
    assert 0 <= lost <= teacher_server.most_in_flight, "booked and not sent: what was about to be, near the limit"
    teacher_server.latency_s = 0.0
    for _ in range(3):
        stopped = hardcut(*arguments(teacher_server, "run", "--budget", str(budget)))
        assert stopped.returncode == 3, stopped.stderr
        assert teacher_server.total_asked + len(teacher_server.small) <= budget
    spent = json.loads(hardcut("status", tmp_path / "run", "--json").stdout)["spend"]
    assert sum(row["calls"] for row in spent) == budget
    assert teacher_server.total_asked + len(teacher_server.small) == budget - lost


def test_a_server_that_answers_nothing_but_errors_stops_the_run(
    arguments: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, told: Told, tmp_path: Path
) -> None:
    line = arguments(teacher_server)
    assert hardcut(*line, "--until", "queries").returncode == 0
    asked = teacher_server.total_asked
    teacher_server.fail(*[500] * 5000)
    config = Path(line[line.index("--config") + 1])
    config.write_text(config.read_text().replace("[resources]", "[resources]\nmax_attempts = 3"))
    stopped = hardcut(*line)
    assert stopped.returncode == 4, stopped.stdout + stopped.stderr
    assert len(told(stopped.stderr)) == 1 and "answered none of the last" in stopped.stderr
    summary = json.loads(hardcut("status", tmp_path / "run", "--json").stdout)
    failed = [row for row in summary["failed"] if row["stage"] != "counterfactuals"]
    assert failed == [] and len(summary["failed"]) <= 6, "what was given up before there were twenty failures in a row"
    teacher_server.faults.clear()
    assert teacher_server.total_asked - asked < 5000
    done = hardcut(*line, "--retry-failed")
    assert done.returncode == 0, "it goes on where it stopped"
    assert max(teacher_server.served.values()) == 1


def test_a_reply_that_cannot_be_read_is_a_failure_and_is_asked_again_on_demand_only(
    arguments: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    victims: list[str] = []

    def mumble(body: dict[str, Any]) -> str | None:
        """Nonsense for the first question that is asked, however often and however it is repaired."""
        question = json.dumps(body["messages"][:2])
        victims[:] = victims or [question]
        return '{"caption": 5}' if question == victims[0] else None

    teacher_server.answer = mumble
    done = hardcut(*arguments(teacher_server), "--json")
    assert done.returncode == 1, done.stderr
    failed = json.loads(done.stdout)["failed"]
    assert len(failed) == 1
    assert failed[0]["stage"] == "captions"
    assert failed[0]["raw"] == '{"caption": 5}', "the reply is kept word for word"
    asked = teacher_server.total_asked
    again = hardcut(*arguments(teacher_server))
    assert again.returncode == 1, "a second run ends with the status of the first"
    assert teacher_server.total_asked == asked
    teacher_server.answer = lambda body: None
    mended = hardcut(*arguments(teacher_server), "--retry-failed")
    assert mended.returncode == 0, mended.stdout + mended.stderr


def test_a_server_that_is_not_there_stops_the_run_with_one_line(
    arguments: Callable[..., list[str | Path]], hardcut: Process, teacher_server: Any, told: Told, tmp_path: Path
) -> None:
    line = arguments(teacher_server)
    at = line.index("--teacher") + 1
    line[at] = "openai:judge@http://127.0.0.1:9/v1"
    config = Path(line[line.index("--config") + 1])
    config.write_text(config.read_text() + "[teacher]\n")
    config.write_text(config.read_text().replace("[resources]", "[resources]\nmax_attempts = 2"))
    done = hardcut(*line)
    assert done.returncode == 4, done.stdout + done.stderr
    assert len(told(done.stderr)) == 1 and "127.0.0.1:9" in done.stderr


def test_no_secret_of_the_environment_is_written(
    arguments: Callable[..., list[str | Path]],
    command: list[str],
    environment: dict[str, str],
    teacher_server: Any,
    tmp_path: Path,
) -> None:
    """Not even where the server repeats the key in its error, which is kept as the reason of a failure."""
    names = ("OPENAI_API_KEY", "HF_TOKEN", "ARGILLA_API_KEY", "AWS_SECRET_ACCESS_KEY", "DATABASE_PASSWORD")
    secrets = {"HARDCUT_API_KEY": KEY, **{name: f"planted-{name.lower()}-0123456789" for name in names}}
    env = {**environment, **secrets}
    teacher_server.fail("echo_key")
    line = [*command, *map(str, arguments(teacher_server))]
    done = subprocess.run(line, env=env, capture_output=True, timeout=200, check=False)
    assert done.returncode == 1, done.stderr
    told = subprocess.run(
        [*command, "status", str(tmp_path / "run"), "--failed"], env=env, capture_output=True, timeout=60, check=False
    )
    assert b"bad key Bearer ***" in told.stdout
    assert teacher_server.keys_seen == {f"Bearer {KEY}"}
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"ledger.sqlite", "run.toml", "report.html", "replies.sqlite", TeacherLabel.FILE} <= files.keys()
    files |= {"what is printed": done.stdout + done.stderr + told.stdout}
    for secret in secrets.values():
        assert [name for name, data in files.items() if secret.encode() in data] == []
