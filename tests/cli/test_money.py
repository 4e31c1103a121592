"""What a run spends, and whose key it shows to whom: through the command, over real HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]
Told = Callable[[str], list[str]]
SECRETS = {
    "HARDCUT_API_KEY": "planted-main-0123456789",
    "OPENAI_API_KEY": "planted-other-0123456789",
    "JUDGE_KEY": "planted/judge+0123456789",
    "SPEECH_KEY": "planted-speech-0123456789",
}
FAST = "[evidence]\nocr = 'off'\nshots = false\nmotion = false\n%s\n[queries]\nviews = ['caption', 'metadata']\n"


@pytest.fixture
def run(
    world: Path, command: list[str], environment: dict[str, str], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command on six videos with settings and an environment."""

    def call(toml: str = "", *more: str, speech: str = "", env: dict[str, str] | None = None) -> Any:
        config = tmp_path / "hardcut.toml"
        config.write_text(toml + "\n" + FAST % speech)
        folders = ["--out", tmp_path / "run", "--cache", tmp_path / "cache", "--config", config]
        line = [*command, "run", world / "videos", "--limit", "6", *folders, *more]
        return subprocess.run(
            list(map(str, line)), env={**environment, **(env or {})}, capture_output=True, text=True, timeout=280,
            check=False,
        )  # fmt: skip

    return call


def status(hardcut: Process, tmp_path: Path) -> Any:
    return json.loads(hardcut("status", tmp_path / "run", "--json").stdout)


def test_each_owner_sees_its_own_key_and_no_key_is_written_anywhere(
    run: Any, command: list[str], environment: dict[str, str], teacher_server: Any, second_server: Any,
    speech_server: Any, tmp_path: Path,
) -> None:  # fmt: skip
    """Not even where a server repeats it in an error or a reply, whose words are kept."""
    toml = (
        f'[teacher]\nspec = "openai:some/model@{teacher_server.url}"\n'
        f'[[scores.teachers]]\nspec = "openai:judge@{second_server.url}"\nkey_variable = "JUDGE_KEY"\n'
    )
    speech = f'speech = "server:w@{speech_server.url}"\nspeech_key_variable = "SPEECH_KEY"'
    teacher_server.fail("echo_key")
    speech_server.faults.append(413)
    speech_server.words = "bad key KEY"
    done = [run(toml, speech=speech, env=SECRETS)]
    teacher_server.always = None
    second_server.fail_always("echo_key")
    done.append(run(toml, "--retry-failed", speech=speech, env=SECRETS))
    assert [each.returncode for each in done] == [1, 1], "".join(each.stderr for each in done)
    told = subprocess.run(
        [*command, "status", str(tmp_path / "run"), "--failed"], env={**environment, **SECRETS}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "bad key Bearer ***" in told.stdout
    assert teacher_server.keys_seen == {f"Bearer {SECRETS['HARDCUT_API_KEY']}"}
    assert second_server.keys_seen == {f"Bearer {SECRETS['JUDGE_KEY']}"}
    assert {each.get("Authorization") for each in speech_server.headers} == {f"Bearer {SECRETS['SPEECH_KEY']}"}
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {Path(name).name for name in files} >= {"ledger.sqlite", "run.toml", "report.html", "replies.sqlite"}
    files["printed"] = "".join(each.stdout + each.stderr for each in (*done, told)).encode()
    for secret in SECRETS.values():
        forms = {secret.encode(), json.dumps(secret).encode(), secret.replace("/", "\\/").encode()}
        assert [name for name, data in files.items() if any(form in data for form in forms)] == []


def test_without_a_variable_of_its_own_another_host_is_sent_no_key(
    run: Any, teacher_server: Any, second_server: Any
) -> None:
    toml = (
        f'[teacher]\nspec = "openai:some/model@{teacher_server.url}"\n'
        f'[[scores.teachers]]\nspec = "openai:judge@{second_server.url}"\n'
    )
    done = run(toml, env=SECRETS)
    assert done.returncode == 0, done.stderr
    assert teacher_server.keys_seen == {f"Bearer {SECRETS['HARDCUT_API_KEY']}"} and second_server.keys_seen == {""}


PRICED = '[teacher]\nspec = "openai:m@%s"\n[teacher.price]\nprompt = 10.0\ncompletion = 10.0\n'


def test_what_nobody_counts_is_shown_as_an_estimate_and_stops_at_the_budget(
    run: Any, hardcut: Process, teacher_server: Any, tmp_path: Path
) -> None:
    teacher_server.usage = None
    done = run(PRICED % teacher_server.url, "--until", "queries")
    assert done.returncode == 0, done.stderr
    assert "tokens are an estimate" in done.stdout and "estimated)" in done.stdout
    rows = status(hardcut, tmp_path)["spend"]
    assert all(row["prompt_tokens"] == row["estimated_prompt_tokens"] > 100 for row in rows)
    assert all(row["money"] == row["estimated_money"] > 0 for row in rows)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "estimated from texts and frames" in page and f"openai:m@{teacher_server.url}" in page
    spent = sum(row["prompt_tokens"] + row["completion_tokens"] for row in rows)
    for budget in (f"tokens = {spent}", f"money = {sum(row['money'] for row in rows):.6f}"):
        asked = teacher_server.total_asked
        stopped = run(PRICED % teacher_server.url + f"[budget]\n{budget}\n")
        assert stopped.returncode == 3 and "are an estimate" in stopped.stderr, stopped.stderr
        assert teacher_server.total_asked == asked


@pytest.mark.parametrize(
    ("kind", "words", "code"),
    [
        (402, "Insufficient credits", 4),
        (400, "Incorrect API key provided", 2),
        (400, "The model `m` does not exist", 2),
    ],
)
def test_what_concerns_the_account_stops_the_run_with_the_servers_words(
    run: Any, hardcut: Process, teacher_server: Any, told: Told, tmp_path: Path, kind: int, words: str, code: int
) -> None:
    teacher_server.fail_always(kind, words)
    stopped = run(PRICED % teacher_server.url)
    assert stopped.returncode == code and words in stopped.stderr and len(told(stopped.stderr)) == 1
    assert status(hardcut, tmp_path)["failed"] == []
    teacher_server.always = None
    assert run(PRICED % teacher_server.url, "--until", "captions").returncode == 0, "the same command goes on"


def test_dropped_logprobs_stop_the_run_before_anything_is_paid_for(
    run: Any, hardcut: Process, teacher_server: Any, told: Told, tmp_path: Path
) -> None:
    teacher_server.fail_always("no_logprobs")
    stopped = run(PRICED % teacher_server.url)
    assert stopped.returncode == 2 and "gives no log-probabilities" in stopped.stderr
    assert len(told(stopped.stderr)) == 1
    assert teacher_server.total_asked == 0 and len(teacher_server.small) == 2
    assert status(hardcut, tmp_path)["failed"] == []


def test_a_speech_server_is_booked_and_priced_and_not_asked_twice(
    run: Any, hardcut: Process, speech_server: Any, tmp_path: Path
) -> None:
    speech = f'speech = "server:w@{speech_server.url}"\nspeech_price = 0.6'
    done = run('[teacher]\nspec = "evidence"\n', "--until", "evidence", speech=speech)
    assert done.returncode == 0, done.stderr
    heard = len(speech_server.forms)
    (row,) = status(hardcut, tmp_path)["spend"]
    assert heard and (row["stage"], row["calls"], row["teacher"]) == (
        "evidence",
        heard,
        f"server:w@{speech_server.url}",
    )
    assert row["money"] == pytest.approx(row["sound_s"] / 60 * 0.6, abs=1e-4) and row["sound_s"] > 1
    assert "minutes of sound" in done.stdout
    again = run('[teacher]\nspec = "evidence"\n[media]\nfps = 3.0\n', "--until", "evidence", speech=speech)
    assert again.returncode == 0 and len(speech_server.forms) == heard, "evidence is looked for anew, sound is kept"


def test_a_speech_server_that_is_not_there_stops_the_run_with_status_4(run: Any, told: Told) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        done = run("[resources]\nmax_attempts = 2\n", "--until", "evidence", speech=f'speech = "server:w@{url}"')
    assert done.returncode == 4, done.stderr
    assert "start the server" in done.stderr and len(told(done.stderr)) == 1
