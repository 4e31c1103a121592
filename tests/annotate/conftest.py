"""The embedded Argilla for tests: its environment, made once, and servers that are stopped at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hardcut.annotate.embedded.environment import environment
from hardcut.annotate.embedded.server import EmbeddedServer, Order, running
from hardcut.engine.progress import NullProgress
from hardcut.schemas.errors import MissingDependency

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def argilla_python() -> Path:
    """The Python of the server's environment: `make test` has made it in .venv-argilla (or where VENV_ARGILLA says)."""
    folder = Path(os.environ.get("VENV_ARGILLA", ROOT / ".venv-argilla")).resolve()
    try:
        return environment(folder, NullProgress(), print)
    except MissingDependency as error:
        if os.environ.get("HARDCUT_ARGILLA") == "required":
            raise
        pytest.skip(str(error))


@pytest.fixture
def argilla(argilla_python: Path) -> Iterator[Callable[..., EmbeddedServer]]:
    """Starts servers: `argilla(data, "alice", "bob")`, on any free port."""
    with ExitStack() as stack:

        def start(data: Path, *reviewers: str) -> EmbeddedServer:
            return stack.enter_context(running(argilla_python, data, Order(port=0, reviewers=reviewers)))

        yield start


@pytest.fixture(scope="session")
def one_argilla(argilla_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a server with the reviewers alice, bob and carol that many tests share."""
    data = tmp_path_factory.mktemp("argilla")
    with running(argilla_python, data, Order(port=0, reviewers=("alice", "bob", "carol"))):
        yield data
