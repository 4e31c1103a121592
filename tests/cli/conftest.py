"""A small world of videos, rendered once, and the command as a process of its own."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly rendered world of another seed than the bundled one, small enough to be run many times."""
    from hardcut.data.render import render_world
    from hardcut.data.world import make_world

    folder = tmp_path_factory.mktemp("world")
    render_world(make_world(11, clips=6), folder)
    return folder


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How to start the command under test in a process of its own."""
    return [sys.executable, "-c", "from hardcut.cli.app import main; main()"]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of such a process: no terminal, no hub, no key."""
    keys = ("HARDCUT_API_KEY", "OPENAI_API_KEY")
    kept = {name: value for name, value in os.environ.items() if name not in keys}
    return {**kept, "HF_HUB_OFFLINE": "1", "TERM": "dumb", "COLUMNS": "200"}


@pytest.fixture(scope="session")
def hardcut(command: list[str], environment: dict[str, str]) -> Process:
    """Runs the command to its end: `hardcut("status", run)`."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = [*command, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=850, check=False)

    return call


@pytest.fixture(scope="session")
def told() -> Callable[[str], list[str]]:
    """The lines of stderr without those of progress, which come every ten seconds where a machine is slow."""
    progress = re.compile(r"[a-z]+ \d+(/\d+)?(,| ·|$)")
    return lambda stderr: [line for line in stderr.splitlines() if not progress.match(line)]


@pytest.fixture(scope="session")
def timed(hardcut: Process) -> Callable[..., tuple[subprocess.CompletedProcess[str], float]]:
    """The command's result and the processor time of it and its workers, in seconds: other work on the machine is not
    what is judged."""

    def call(*arguments: str | Path) -> tuple[subprocess.CompletedProcess[str], float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = hardcut(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return done, (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)

    return call
