"""Items made ahead in threads, while others are worked on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_WAITING = 8
"""Items for each thread that are under way at once."""


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The items in their order. While the caller has one, the next is made in a thread."""
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(next, source, end)
        while (item := waiting.result()) is not end:
            waiting = thread.submit(next, source, end)
            yield item  # type: ignore[misc]


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`work` of each item, in their order, by a thread for each core. Helps where the work lets go of Python's lock, as
    numpy and decoders do. The items are read in the caller's thread, a few ahead."""
    threads = os.cpu_count() or 1
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            if len(waiting) == _WAITING * threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, item))
        while waiting:
            yield waiting.popleft().result()
