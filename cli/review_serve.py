"""`hardcut review serve`: the embedded Argilla in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from hardcut.annotate.embedded.environment import environment
from hardcut.annotate.embedded.server import LOOPBACK, EmbeddedServer, Order, data_folder, running
from hardcut.pipeline.cache import cache_folder
from hardcut.pipeline.progress import open_progress
from hardcut.pipeline.review import run_settings

_LOCAL = (LOOPBACK, "localhost", "::1")


def serve(run: Path, data: Path | None, order: Order, cache: Path | None) -> int:
    """Makes the environment where it is missing, starts the server, says where it is; 0 when it is stopped."""
    run_settings(run)
    try:
        with _sigterm_as_interrupt():
            with open_progress() as progress:
                python = environment(cache_folder(cache).argilla, progress, _say)
            with running(python, data_folder(run, data), order) as server:
                _introduce(run, server, order)
                server.wait()
    except KeyboardInterrupt:
        _say("stopped")
    return 0


def _introduce(run: Path, server: EmbeddedServer, order: Order) -> None:
    print(f"Argilla for {run}: {server.url}")
    width = max((len(name) for name in server.passwords), default=0)
    for name, password in server.passwords.items():
        print(f"  {name:<{width}}  password  {password}")
    if server.passwords:
        print("These passwords are shown this once; `--new-password NAME` makes another. Ctrl-C stops the server.")
    else:
        print("Users have the passwords they had; `--new-password NAME` makes another. Ctrl-C stops the server.")
    sys.stdout.flush()
    if order.host not in _LOCAL:
        _say(f"it listens on {order.host} without encryption: put a proxy with TLS before it, or use an SSH tunnel")


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: what is open is closed."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str) -> None:
    print(f"hardcut: {line}", file=sys.stderr, flush=True)
