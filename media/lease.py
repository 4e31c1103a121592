"""Locks on files by flock: they end with the process that holds them, also when it is killed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shared_lock(path: Path) -> Iterator[None]:
    """Holds the file at `path` (made where it is missing) together with others who share it. Waits. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def exclusive_lock(path: Path) -> Iterator[bool]:
    """Holds the file for oneself; yields False, at once, where somebody else has it. Raises OSError."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
