"""Lists of addresses: only hosts that are allowed are asked, and a bad line costs itself only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hardcut.media.collection import Collection
from hardcut.media.sources import open_source
from hardcut.schemas.errors import ItemError, UsageError
from hardcut.schemas.sources import SourceSettings

BODY = b"video" * 1000


class _Handler(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        name = self.path.split("?")[0]
        again = self.asked.count(self.path) > 1
        if name == "/away.mp4":
            self._answer(302, Location=f"http://localhost:{self.server.server_port}/ok.mp4")
        elif name == "/file.mp4":
            self._answer(302, Location="file:///etc/passwd")
        elif name == "/round.mp4":
            self._answer(302, Location="/round.mp4")
        elif name == "/moved.mp4":
            self._answer(301, Location="/ok.mp4")
        elif name == "/gone.mp4":
            self._answer(410)
        elif name == "/busy.mp4" and not again:
            self._answer(503, **{"Retry-After": "0"})
        elif name == "/short.mp4":
            self._answer(200, BODY[:-1] if not again else BODY, **{"Content-Length": str(len(BODY))})
        elif name == "/endless.mp4":
            self._answer(200, BODY * 1000)
        else:
            self._answer(200, BODY, **{"Content-Length": str(len(BODY))})

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


class Web:
    """A server on loopback. `asked` are the paths that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        handler = type("Handler", (_Handler,), {"asked": self.asked})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()


def opened(file: Path, tmp_path: Path, *hosts: str, largest: int = 10**6) -> Collection:
    settings = SourceSettings(allow_hosts=hosts, max_bytes=largest)
    return open_source(str(file), None, (), settings, tmp_path / "cache")


def listed(tmp_path: Path, *rows: object) -> Path:
    file = tmp_path / "list.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


def test_a_line_names_file_id_and_metadata_and_nobody_is_asked(tmp_path, web):
    rows = [
        {"url": f"{web.url}/a/talk%20one.mp4?signature=secret", "title": "One"},
        {"url": f"{web.url}/get?id=7", "path": "talks/two.webm", "id": 7},
        {"url": f"{web.url}/s", "path": "talks/two.de.srt"},
    ]
    found = opened(listed(tmp_path, *rows), tmp_path, "127.0.0.1")
    assert [(v.video_id, v.relative, v.metadata, len(v.subtitles)) for v in found.files] == [
        ("7", "talks/two.webm", {}, 1),
        ("talk one", "talk one.mp4", {"title": "One"}, 0),
    ]
    (tmp_path / "list.txt").write_text(f"# mine\n\n{web.url}/b.mp4\n{web.url}/a.mp4\n")
    assert [v.video_id for v in opened(tmp_path / "list.txt", tmp_path, "127.0.0.1").files] == ["a", "b"]
    (tmp_path / "list.csv").write_text(f"url,video_id\n{web.url}/b.mp4,x\n")
    assert [v.video_id for v in opened(tmp_path / "list.csv", tmp_path, "127.0.0.1").files] == ["x"]
    assert web.asked == []


def test_a_bad_line_costs_itself_only(tmp_path):
    rows = [
        {"url": "https://good.org/a.mp4"},
        {"url": "https://sub.good.org/b.mp4"},
        {"url": "https://evil.org/c.mp4"},
        {"url": "https://good.org.evil.org/c.mp4"},
        {"url": "https://good.org@evil.org/c.mp4"},
        {"url": "file:///etc/passwd"},
        {"url": "ftp://good.org/c.mp4"},
        {"url": 7},
        {"url": "http://[::1/c.mp4"},
        {"url": "https://good.org/c.mp4\r\nHost: evil.org"},
        {"url": "https://good.org/x", "path": "../../etc/c.mp4"},
        {"url": "https://good.org/%2e%2e"},
        {"url": "https://good.org/a.mp4"},
        {"url": "https://good.org/c.html"},
    ]
    found = opened(listed(tmp_path, *rows), tmp_path, "good.org", "*.Good.org")
    assert [video.video_id for video in found.files] == ["a", "b"]
    assert {item.item.partition(", line ")[2]: item.reason for item in found.skipped} == {
        **dict.fromkeys(("3", "4"), "host_not_allowed"),
        **dict.fromkeys(("5", "6", "7", "8", "9", "10"), "not_a_url"),
        **dict.fromkeys(("11", "12"), "unusable"),
        "13": "listed_twice",
        "14": "not_a_video",
    }


def test_without_allowed_hosts_there_is_no_list(tmp_path):
    file = listed(tmp_path, {"url": "https://good.org/a.mp4"})
    with pytest.raises(UsageError, match=r"set sources.allow_hosts"):
        opened(file, tmp_path)
    with pytest.raises(UsageError, match=r"holds no video .*good.org is not among"):
        opened(file, tmp_path, "other.org")
    with pytest.raises(UsageError, match="put the addresses of the videos into a list"):
        open_source("https://good.org/clips", None, (), SourceSettings(), tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("away", "host_not_allowed: list.jsonl, line 1: the server sends on to localhost"),
        ("file", "refused: list.jsonl, line 1: the server says 302 Found: correct"),
        ("round", "refused: list.jsonl, line 1: the server says 302"),
        ("gone", "refused: list.jsonl, line 1: the server says 410"),
        ("endless", "too_large"),
    ],
)
async def test_a_file_that_is_not_to_be_had_fails_with_its_line(tmp_path, web, name, said):
    row = {"url": f"{web.url}/{name}.mp4?signature=secret"}
    found = opened(listed(tmp_path, row), tmp_path, "127.0.0.1")
    assert found.fetched
    with pytest.raises(ItemError, match=said) as told:
        async with found.fetched.held((f"{name}.mp4", None)):
            pass
    assert "secret" not in str(told.value)
    assert not list((tmp_path / "cache").rglob("*.part"))


@pytest.mark.parametrize("name", ["ok", "moved", "busy", "short"])
async def test_what_passes_is_tried_again(tmp_path, web, name):
    found = opened(listed(tmp_path, {"url": f"{web.url}/{name}.mp4"}), tmp_path, "127.0.0.1")
    assert found.fetched
    async with found.fetched.held((f"{name}.mp4", None)) as [held]:
        assert held.path.read_bytes() == BODY
    again = opened(listed(tmp_path, {"url": f"{web.url}/{name}.mp4"}), tmp_path, "127.0.0.1")
    before = len(web.asked)
    assert again.fetched
    async with again.fetched.held((f"{name}.mp4", None)):
        assert len(web.asked) == before, "it is there"


async def test_a_server_that_is_not_there_is_told(tmp_path, web):
    web.server.server_close()
    web.server.shutdown()
    found = opened(listed(tmp_path, {"url": "http://127.0.0.1:9/a.mp4"}), tmp_path, "127.0.0.1")
    assert found.fetched
    with pytest.raises(ItemError, match=r"unreachable: list.jsonl, line 1: the server cannot be reached"):
        async with found.fetched.held(("a.mp4", None)):
            pass
