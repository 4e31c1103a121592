"""Full disks and servers of another time: one line that says what to do, and nothing lost."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from hardcut.annotate.embedded.server import connection
from hardcut.schemas.judgments import Review

Hardcut = Callable[..., tuple[int, str, str]]


def one_line(said: str) -> str:
    assert said.count("\n") == 1 and "Traceback" not in said, said
    return said


def test_a_full_disk_is_told_in_one_line(
    sample: Any, served: Path, people: Any, hardcut: Hardcut, small_disk: Any, fill: Any, monkeypatch: Any
) -> None:
    """While previews are made, and while answers are written; the same again goes on once there is space."""
    disk = small_disk("40m")
    run = disk / sample.run.name
    shutil.copytree(sample.run, run)
    monkeypatch.setenv("ARGILLA_API_KEY", connection(served).api_key)
    push = ["--url", connection(served).url, "--videos", sample.videos, "--cache", sample.cache, "--budget", "12"]
    fill(disk, 300_000)
    code, _, err = hardcut("review", "push", run, *push)
    assert code == 4 and "space" in one_line(err)
    fill(disk, 20_000_000)
    assert hardcut("review", "push", run, *push)[0] == 0
    record = people["owner"].records(f"{run.name}-assisted")[0]
    people["bob"].answer(record, "answers")
    pull = ["--url", connection(served).url]
    fill(disk)
    code, _, err = hardcut("review", "pull", run, *pull)
    assert code == 4 and "space" in one_line(err)
    fill(disk, 20_000_000)
    assert hardcut("review", "pull", run, *pull)[0] == 0
    assert len((run / Review.FILE).read_text().splitlines()) == 1


def test_a_server_on_a_full_disk(
    argilla_python: Path, sample: Any, hardcut: Hardcut, small_disk: Any, fill: Any, monkeypatch: Any
) -> None:
    disk = small_disk("1m")
    fill(disk)
    monkeypatch.setattr("hardcut.cli.review_serve.environment", lambda *_: argilla_python)
    code, out, err = hardcut("review", "serve", sample.run, "--port", "0", "--data", disk / "argilla")
    assert code == 4 and out == "" and "space" in one_line(err)


class _Old(BaseHTTPRequestHandler):
    """What servers of another time say to the first question."""

    answers: tuple[int, bytes] = (404, b"{}")

    def do_GET(self) -> None:
        status, body = self.answers
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None: ...


@pytest.fixture
def old() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Old)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b'{"detail":"Not Found"}', "before 2.0"),
        (200, json.dumps({"version": "2.2.1"}).encode(), "2.2.1"),
        (200, b"<html>a page of something else</html>", "or none"),
    ],
)
def test_an_old_server_is_told_in_one_line(
    sample: Any, old: str, hardcut: Hardcut, monkeypatch: Any, status: int, body: bytes, told: str
) -> None:
    monkeypatch.setenv("ARGILLA_API_KEY", "x")
    monkeypatch.setattr(_Old, "answers", (status, body))
    code, _, err = hardcut("review", "pull", sample.run, "--url", old)
    assert code == 2 and told in one_line(err) and "2.3 or later" in err
