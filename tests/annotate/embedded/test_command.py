"""`hardcut review serve`, as a user starts and stops it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from hardcut.annotate.embedded.server import connection
from hardcut.schemas.errors import Unreachable

COMMAND = [sys.executable, "-c", "from hardcut.cli.app import main; main()", "review", "serve"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run as far as this command looks."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.toml").touch()
    return folder


@pytest.fixture
def cache(argilla_python: Path, tmp_path: Path) -> Path:
    """A cache folder that has the environment."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "argilla").symlink_to(argilla_python.parents[2])
    return folder


@contextmanager
def _started(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command and what it printed until it was up."""
    line = [*COMMAND, *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = []
        try:
            for text in process.stdout:
                said.append(text.rstrip())
                if "Ctrl-C" in text:
                    break
            yield process, said
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_stops_when_told(run: Path, cache: Path, number: signal.Signals) -> None:
    data = run / "argilla" if number == signal.SIGINT else run.parent / "elsewhere"
    where = [] if number == signal.SIGINT else ["--data", data]
    with _started(run, "--port", "0", "--reviewers", "alice,bob", "--cache", cache, *where) as (process, said):
        assert said[0] == f"Argilla for {run}: {connection(data).url}"
        passwords = dict(line.split("  password  ") for line in said if "  password  " in line)
        assert [name.strip() for name in passwords] == ["owner", "alice", "bob"]
        form = {"username": "alice", "password": passwords["  alice"]}
        assert httpx.post(f"{connection(data).url}/api/v1/token", data=form, timeout=60).status_code == 201
        assert httpx.get(connection(data).url, timeout=60).status_code == 200, "the page itself"
        process.send_signal(number)
        _, errors = process.communicate(timeout=150)
    assert process.returncode == 0, errors
    assert errors == "hardcut: stopped\n"
    assert not (data / "tmp").exists()
    with pytest.raises(Unreachable):
        connection(data)


def test_a_killed_server_is_told(run: Path, cache: Path) -> None:
    with _started(run, "--port", "0", "--cache", cache) as (process, _):
        (server,) = psutil.Process(process.pid).children()
        server.kill()
        _, errors = process.communicate(timeout=150)
    assert process.returncode == 1
    assert errors.startswith("hardcut: the server ended by itself") and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--reviewers", "a b"), "reviewer 'a b'"),
        (("--reviewers", "owner"), "the owner's"),
        (("--port", "70000"), "65535"),
    ],
)
def test_wrong_use_is_one_line(run: Path, arguments: tuple[str, ...], says: str) -> None:
    _is_refused(run, *arguments, says=says)


def test_without_a_run_it_says_how_to_make_one(tmp_path: Path) -> None:
    _is_refused(tmp_path / "none", says="hardcut run VIDEOS --out")


def _is_refused(*arguments: str | Path, says: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.count("\n") == 1
