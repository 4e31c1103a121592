"""Starts Argilla on SQLite alone, in one process: its order is a line of JSON on stdin, its answer one on stdout.

Lives until stdin is closed, SIGTERM or SIGINT: so it ends with the process that started it, however that ends. The
order below matters: the environment before the server's settings, the queues before its modules, the schema before
its users, and the lock before everything.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TextIO

from hardcut.annotate.embedded.inside import jobs
from hardcut.annotate.embedded.inside.keys import OWNER, api_key, derived

_PATIENCE_S = 2.0
"""Who only asks whether a server runs holds the lock for a moment."""


def main() -> None:
    answer = _own_stdout()
    order = json.loads(sys.stdin.readline())
    data = Path(order["data"])
    os.umask(0o077)
    lock = _lock(data / "server.lock", answer)
    os.ftruncate(sys.stderr.fileno(), 0)  # the log of the last start
    listener = _bind(order["host"], order["port"], answer)
    temporary = data / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # of a server that was killed
    try:
        temporary.mkdir()
        tempfile.tempdir = str(temporary)
        _run(order, data, listener, lock, answer)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _run(order: dict[str, Any], data: Path, listener: socket.socket, lock: TextIO, answer: TextIO) -> None:
    key = api_key(data / "argilla.db", OWNER) or secrets.token_urlsafe(60)
    _set_environment(data, key)
    warnings.simplefilter("ignore")
    application = _application(data, key)
    url = _url(listener)

    def announce(passwords: dict[str, str]) -> None:
        lock.write(json.dumps({"url": url}))
        lock.flush()
        _say(answer, {"url": url, "passwords": passwords})

    from hardcut.annotate.embedded.inside.accounts import NoSuchUser, prepare

    async def live() -> None:
        try:
            passwords = await prepare(key, order["reviewers"], order["new_passwords"])
        except NoSuchUser as error:
            _refuse(answer, f"{data}: it has no user {str(error)!r} to give a new password")
        await _serve(application, listener, lambda: announce(passwords))

    asyncio.run(live())


def _set_environment(data: Path, key: str) -> None:
    """What the server's settings are read from, at its import."""
    os.environ.update(
        ARGILLA_HOME_PATH=str(data),
        ARGILLA_DATABASE_URL=f"sqlite+aiosqlite:///{data / 'argilla.db'}?check_same_thread=False",
        ARGILLA_DATABASE_SQLITE_TIMEOUT="30",
        ARGILLA_SEARCH_ENGINE="embedded",
        ARGILLA_CORS_ORIGINS="[]",
        ARGILLA_AUTH_SECRET_KEY=derived(key, "sessions"),
        ARGILLA_AUTH_OAUTH_CFG=str(data / "no-oauth"),
        HF_HUB_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
    )


def _application(data: Path, key: str) -> Any:
    """The server with its schema up to date, our queues, our search engine, and the clips before it."""
    queue = jobs.install()
    _migrate(data / "argilla.db")
    from argilla_server._app import app
    from argilla_server.api.routes import api_v1

    from hardcut.annotate.embedded.inside.accounts import keep_answers
    from hardcut.annotate.embedded.inside.clips import Clips
    from hardcut.annotate.embedded.inside.own_fonts import OwnFonts
    from hardcut.annotate.embedded.inside.search import register

    jobs.connect(queue, api_v1)
    register()
    keep_answers()
    media = data / "media"
    media.mkdir(exist_ok=True)
    return Clips(OwnFonts(app), media, key, _is_logged_in)


async def _serve(application: Any, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Answers requests until it is told to stop; then finishes those in flight and closes the database."""
    import uvicorn
    from argilla_server.database import async_engine

    from hardcut.annotate.embedded.inside.search import reader

    class Server(uvicorn.Server):  # type: ignore[misc]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce()

    server = Server(uvicorn.Config(application, access_log=False, log_level="warning", timeout_graceful_shutdown=5))

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn stops on them and raises them once more at its end
        signal.signal(number, lambda *_: stop())
    threading.Thread(target=_when_stdin_ends, args=(stop,), daemon=True).start()
    try:
        await server.serve(sockets=[listener])
    finally:
        for engine in (async_engine, reader):
            await engine.dispose()


async def _is_logged_in(request: Any) -> bool:
    """Whether a request carries a user's API key or a session's token, as the server itself sees it."""
    from argilla_server.database import AsyncSessionLocal
    from argilla_server.errors import UnauthorizedError
    from argilla_server.security.authentication.provider import AuthenticationProvider

    async with AsyncSessionLocal() as db:
        request.state.db = db
        try:
            return any([await backend.authenticate(request) for backend in AuthenticationProvider.backends])
        except UnauthorizedError:
            return False


def _migrate(database: Path) -> None:
    """The server's schema, and WAL: readers and the one writer do not wait for each other."""
    import alembic.config
    from argilla_server.database import ALEMBIC_CONFIG_FILE

    alembic.config.main(argv=["-c", ALEMBIC_CONFIG_FILE, "upgrade", "head"])
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def _own_stdout() -> TextIO:
    """Stdout for our one line alone: what the server prints goes into its log."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answer


def _lock(path: Path, answer: TextIO) -> TextIO:
    """Holds the data for this process until it ends; says no where another server has it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+", encoding="utf-8")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                _refuse(answer, f"{path.parent}: another server runs on this data: use it, or stop it first")
            time.sleep(0.05)
        else:
            file.truncate(0)
            return file


def _bind(host: str, port: int, answer: TextIO) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        _refuse(answer, f"cannot listen on {host}, port {port}: {error.strerror}; --port names another, 0 any free one")
    return listener


def _url(listener: socket.socket) -> str:
    """The address for this machine's own users: one that listens everywhere is reached on the loopback too."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _when_stdin_ends(call: Callable[[], None]) -> None:
    while os.read(0, 1024):
        pass
    call()


def _say(answer: TextIO, what: dict[str, Any]) -> None:
    answer.write(json.dumps(what) + "\n")
    answer.flush()


def _refuse(answer: TextIO, why: str) -> NoReturn:
    _say(answer, {"refused": why})
    raise SystemExit(2)


if __name__ == "__main__":
    main()
