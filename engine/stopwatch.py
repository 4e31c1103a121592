"""How long a unit took, without the time that it stood in a queue: else every unit of a full pool looks slow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopwatch:
    """Seconds since it was made, less those spent in `waiting()`."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._waited = 0.0

    @property
    def seconds(self) -> float:
        return round(time.perf_counter() - self._started - self._waited, 6)

    def add_wait(self, seconds: float) -> None:
        self._waited += seconds


current_unit: ContextVar[Stopwatch | None] = ContextVar("current_unit", default=None)
"""The watch of the unit that is running, set by the engine."""


@contextmanager
def waiting() -> Iterator[None]:
    """Around the wait for a worker: stops the running unit's watch, if there is one. One wait at a time a unit."""
    watch, started = current_unit.get(), time.perf_counter()
    try:
        yield
    finally:
        if watch is not None:
            watch.add_wait(time.perf_counter() - started)
