"""A key belongs to one host, and a proxy sees what is meant for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling
from hardcut.schemas.settings import ScoreSettings, Settings
from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.protocol import Request
from hardcut.teacher.registry import open_teacher
from hardcut.teacher.server.http import Endpoint
from hardcut.teacher.server.keys import KeySource
from hardcut.teacher.server.proxy import Proxy, proxy_for

SECRET, OTHER = "planted-main-key-0123", "planted-judge-key-0123"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HARDCUT_API_KEY", "JUDGE_KEY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HARDCUT_API_KEY", SECRET)


def judgment(inputs: dict[str, Any]) -> Request:
    return Request("judge", {**inputs["judge"], "query": "q"}, Sampling())


async def keys_seen(settings: Settings, inputs: dict[str, Any], *servers: Any) -> list[set[str]]:
    for each in (settings.teacher, *settings.judges):
        teacher = open_teacher(each, main=settings.teacher)
        try:
            await teacher.complete([judgment(inputs)])
        finally:
            await teacher.close()
    return [server.keys_seen - {""} for server in servers]


def run_of(main: str, judge: str, key_variable: str | None = None) -> Settings:
    return Settings(
        teacher=TeacherSettings(spec=main),
        scores=ScoreSettings(teachers=(TeacherSettings(spec=judge, key_variable=key_variable),)),
    )


async def test_the_default_key_goes_to_the_main_teachers_host_alone(
    teacher_server: Any, second_server: Any, inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    main, judge = f"openai:m@{teacher_server.url}", f"openai:j@{second_server.url}"
    assert await keys_seen(run_of(main, judge), inputs, teacher_server, second_server) == [{f"Bearer {SECRET}"}, set()]
    monkeypatch.setenv("JUDGE_KEY", OTHER)
    named = run_of(main, judge, "JUDGE_KEY")
    assert await keys_seen(named, inputs, teacher_server, second_server) == [{f"Bearer {SECRET}"}, {f"Bearer {OTHER}"}]


async def test_a_judge_at_the_main_teachers_host_has_its_key(teacher_server: Any, inputs: dict[str, Any]) -> None:
    settings = run_of(f"openai:m@{teacher_server.url}", f"openai:j@{teacher_server.url}/")
    assert await keys_seen(settings, inputs, teacher_server) == [{f"Bearer {SECRET}"}]


async def test_beside_a_teacher_without_a_host_a_judge_names_its_variable(
    teacher_server: Any, inputs: dict[str, Any]
) -> None:
    settings = run_of("evidence", f"openai:j@{teacher_server.url}")
    assert await keys_seen(settings, inputs, teacher_server) == [set()]
    teacher_server.fail_always(401)
    with pytest.raises(UsageError, match=r"name the environment variable .* key_variable in \[\[scores.teachers\]\]"):
        await keys_seen(settings, inputs, teacher_server)


async def test_a_named_variable_that_is_not_set_is_told_before_anything_is_sent(
    teacher_server: Any, inputs: dict[str, Any]
) -> None:
    settings = TeacherSettings(spec=f"openai:m@{teacher_server.url}", key_variable="NOBODY_SET_THIS")
    teacher = open_teacher(settings)
    with pytest.raises(UsageError, match="NOBODY_SET_THIS is not set"):
        await teacher.complete([judgment(inputs)])
    await teacher.close()
    assert teacher_server.total_asked == 0


async def test_no_key_follows_a_redirect(teacher_server: Any, second_server: Any, inputs: dict[str, Any]) -> None:
    teacher_server.fail_always("redirect", second_server.url)
    teacher = open_teacher(TeacherSettings(spec=f"openai:m@{teacher_server.url}"))
    with pytest.raises(UsageError, match="redirects"):
        await teacher.complete([judgment(inputs)])
    await teacher.close()
    assert second_server.keys_seen == set() and second_server.total_asked == 0


@pytest.mark.parametrize("key", ["sk-0123456789abcdef", "3f2a9c", "hf_abcdef", "key_of_mine"])
def test_a_key_in_place_of_a_variables_name_is_refused_and_not_repeated(key: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(f'[teacher]\nkey_variable = "{key}"\n')
    with pytest.raises(UsageError, match="name of an environment variable") as caught:
        load_settings(tmp_path / "s.toml")
    assert key not in str(caught.value)


class ProxyServer:
    """Answers every request itself, as a proxy would that knows all servers; `seen` are the first lines."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.heads: list[str] = []
        self.answer = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"data":[]}'
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.seen.append(head.splitlines()[0])
        self.heads.append(head)
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[ProxyServer]:
    found = ProxyServer()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield found
    server.close()


async def fetch(url: str, key: KeySource | None = None) -> bytes:
    endpoint = Endpoint(url, concurrency=1, timeout_s=5.0, key=key)
    try:
        return await endpoint.get("/models")
    finally:
        await endpoint.close()


async def test_proxies_of_the_environment_are_used(proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://me:hunter2@"))
    assert await fetch("http://teacher.example/v1") == b'{"data":[]}'
    assert proxy.seen == ["GET http://teacher.example/v1/models HTTP/1.1"]
    assert "Proxy-Authorization: Basic bWU6aHVudGVyMg==" in proxy.heads[0] and f"Bearer {SECRET}" in proxy.heads[0]
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://me:hunter2@"))
    proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(UsageError, match=r"the proxy refuses the way to https://teacher\.example/v1 .*407"):
        await fetch("https://teacher.example/v1")
    assert proxy.seen[-1] == "CONNECT teacher.example:443 HTTP/1.1"
    assert "Proxy-Authorization: Basic bWU6aHVudGVyMg==" in proxy.heads[-1]
    assert SECRET not in proxy.heads[-1], "a tunnel is for the server's eyes"
    monkeypatch.setenv("NO_PROXY", "teacher.example")
    assert proxy_for("http://teacher.example/v1") == Proxy()


async def test_a_proxy_never_sees_a_request_on_loopback(
    proxy: ProxyServer, teacher_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    for host in ("127.0.0.1", "localhost"):
        await fetch(teacher_server.url.replace("127.0.0.1", host))
    assert proxy.seen == []
    for address in (
        "http://[::1]:8000/v1",
        "http://127.8.9.1/v1",
        "http://a.localhost/v1",
        "http://[::ffff:127.0.0.1]/v1",
    ):
        assert proxy_for(address) == Proxy()
    assert proxy_for("http://10.0.0.1/v1") != Proxy()


async def test_the_users_netrc_is_not_read(
    teacher_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password netrc-secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    await fetch(teacher_server.url, KeySource(()))
    assert teacher_server.keys_seen == {""}


@pytest.mark.parametrize("given", ["socks5://me:hunter2@127.0.0.1:9", "http://host:port"])
async def test_a_proxy_of_another_kind_is_told(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", given)
    with pytest.raises(UsageError, match="names no http proxy") as caught:
        await fetch("http://teacher.example/v1")
    assert "hunter2" not in str(caught.value)
