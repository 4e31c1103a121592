"""Where the bundled sample lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

SAMPLE_SEED = 7
"""The seed of the bundled world; `make_world(SAMPLE_SEED)` describes it."""


@contextmanager
def sample_files() -> Iterator[Path]:
    """The sample as a real folder while the context is open: `videos/` and the files beside it (see its README)."""
    with as_file(files("hardcut.data") / "sample") as folder:
        yield folder
