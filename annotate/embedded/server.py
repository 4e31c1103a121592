"""Starting and stopping the embedded server, and the way to one that runs.

The server is a process of its own in an environment of its own. It holds a lock on its data for as long as it lives,
and ends when we do. No file of ours holds a secret: the owner's key is read where the server keeps it, in its
database, which only the same user of this machine can read.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hardcut.annotate.embedded.environment import lease
from hardcut.annotate.embedded.inside.keys import OWNER, api_key, path_of
from hardcut.engine.files import storage_error
from hardcut.media.lease import exclusive_lock, shared_lock
from hardcut.schemas.errors import HardcutError, Unreachable, UsageError

LOOPBACK = "127.0.0.1"
PORT = 6900
_INSIDE = Path(__file__).with_name("inside")
_START_LIMIT_S = 300.0
_LEAST_SPACE = 1_000_000
"""Bytes that a server needs to start, of its database and its log."""
_STOP_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """How a server is to run. `port` 0 takes any that is free; `reviewers` are made where they are missing, and
    `new_passwords` names users who get another one."""

    host: str = LOOPBACK
    port: int = PORT
    reviewers: tuple[str, ...] = ()
    new_passwords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.reviewers, *self.new_passwords):
            if not name.replace("-", "").replace(".", "").replace("_", "").isalnum() or not name[0].isalnum():
                raise UsageError(f"reviewer {name!r}: a name has letters, digits, '-', '_' and '.', no more")
        if OWNER in self.reviewers:
            raise UsageError(f"reviewer {OWNER!r}: that name is the owner's: choose another")


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that runs. `passwords` are those made at this start, by user: they are kept nowhere."""

    url: str
    passwords: Mapping[str, str] = field(repr=False)
    pid: int
    _process: subprocess.Popen[str] = field(repr=False)
    _log: Path

    def wait(self) -> None:
        """Returns never: waits until the process ends, then raises, for nobody asked it to end."""
        status = self._process.wait()
        raise HardcutError(f"the server ended by itself (status {status}): {_last_line(self._log)}")


@dataclass(frozen=True, slots=True)
class Connection:
    """The way to an embedded server that runs. `media_root` is the folder whose files it serves."""

    url: str
    api_key: str = field(repr=False)
    media_root: Path
    _owner_key: str = field(repr=False)

    def media_url(self, name: str) -> str:
        """The link of the file `name` below `media_root`, as a path on the server (`/media/TOKEN/NAME`).

        A page of the server resolves it itself: so it stays right on another port and through a tunnel. For another
        program, put `url` before it. Links are the same after every start. Raises UsageError for a name that the
        server would not serve.
        """
        if any(not part or part.startswith(".") for part in name.split("/")):
            raise UsageError(f"clip {name!r}: a name is relative, and no part of it is empty or begins with a dot")
        return path_of(self._owner_key, name)


def data_folder(run: Path, given: Path | None = None) -> Path:
    """Where a run's server keeps its data: the folder that the user names, or `argilla` in the run's own."""
    return (given.expanduser() if given is not None else run / "argilla").resolve()


def media_folder(data: Path) -> Path:
    """Where clips are put that the server shall serve."""
    return data / "media"


@contextmanager
def running(python: Path, data: Path, order: Order) -> Iterator[EmbeddedServer]:
    """A server on `data` for as long as the block lasts; `python` is its environment's.

    Raises UsageError where it cannot run so (another server on the same data, a port that is taken), StorageError
    where `data` cannot be written, HardcutError with the last line of its log where it fails otherwise.
    """
    log = data / "server.log"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        messages = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_error(data, error) from error
    try:
        with shared_lock(lease(python)):
            process = subprocess.Popen(
                [python, "-I", _INSIDE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                cwd=data,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for us: we stop it
            )
            try:
                said = _ask(process, data, order, log)
                yield EmbeddedServer(said["url"], said["passwords"], process.pid, process, log)
            finally:
                _stop(process)
    finally:
        os.close(messages)


def connection(data: Path, user: str = OWNER) -> Connection:
    """The way to the server that runs on `data`, as one of its users.

    Raises Unreachable where none runs, UsageError where it has no such user.
    """
    database = data / "argilla.db"
    url = _url_of(data)
    owner = None if url is None else api_key(database, OWNER)
    if url is None or owner is None:
        raise Unreachable(f"no review server runs on {data}: start one with `{_command(data)}` and leave it running")
    mine = api_key(database, user)
    if mine is None:
        raise UsageError(f"{data}: the server has no user {user!r}")
    return Connection(url, mine, media_folder(data), owner)


def _url_of(data: Path) -> str | None:
    """What the server that holds the lock wrote into it; None where nobody holds it or the server is not yet up."""
    lock = data / "server.lock"
    try:
        if not lock.exists():
            return None
        with exclusive_lock(lock) as free:
            if free:
                return None
            said = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreachable(
            f"{lock}: cannot read it ({error.strerror}): only the user who started a server can"
        ) from error
    url = json.loads(said)["url"] if said else None
    return None if url is None else str(url)


def _command(data: Path) -> str:
    if data.name == "argilla":
        return f"hardcut review serve {data.parent}"
    return f"hardcut review serve RUN --data {data}"


def _ask(process: subprocess.Popen[str], data: Path, order: Order, log: Path) -> dict[str, Any]:
    """Hands the server its order and waits for its answer."""
    wish = {
        "data": str(data),
        "host": order.host,
        "port": order.port,
        "reviewers": list(order.reviewers),
        "new_passwords": list(order.new_passwords),
    }
    assert process.stdin and process.stdout
    with suppress(BrokenPipeError):  # it ended already: its log says why
        process.stdin.write(json.dumps(wish) + "\n")
        process.stdin.flush()
    ready, _, _ = select.select([process.stdout], [], [], _START_LIMIT_S)
    line = process.stdout.readline() if ready else ""
    if not line:
        _need_space(data)
        raise HardcutError(f"the embedded Argilla did not start: {_last_line(log)} (all of it: {log})")
    said: dict[str, Any] = json.loads(line)
    if "refused" in said:
        raise UsageError(said["refused"])
    return said


def _need_space(data: Path) -> None:
    """Raises StorageError where the disk is full: the server's log cannot say so then, since it is on this disk too."""
    probe = data / ".space"
    try:
        probe.write_bytes(bytes(_LEAST_SPACE))
    except OSError as error:
        raise storage_error(data, error) from error
    finally:
        probe.unlink(missing_ok=True)


def _stop(process: subprocess.Popen[str]) -> None:
    """Ends the server by closing its input, which it obeys by finishing what it answers; by force where it hangs, or
    where a second Ctrl-C says so: nothing that was acknowledged is lost by it."""
    assert process.stdin and process.stdout
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()  # does nothing to one that has ended
        process.wait()
        process.stdout.close()


def _environment() -> dict[str, str]:
    """Ours without what would change the server's settings behind our back."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ARGILLA_", "UVICORN_"))}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
