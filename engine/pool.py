"""Work in processes that may hang or crash without harm: only the call that did it fails.

Built on pebble, because the pools of the standard library neither kill a call that takes too long nor survive a
worker that dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from hardcut.schemas.errors import ItemError

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_TRIES = 3
"""How often a call is begun before it is held to be what breaks the pool."""


class WorkerPool:
    """Up to `workers` processes that carry out one call each at a time, each call within `timeout_s` seconds.

    No process is started before the first call, and leaving the context ends all of them. Workers are spawned, never
    forked: a fork would copy the locks of our threads. They end with us even where we are killed with SIGKILL: on
    Linux the kernel does that (PR_SET_PDEATHSIG), elsewhere a thread in every worker waits for our end, which a call
    that never lets go of the interpreter's lock can hold up.
    """

    def __init__(self, workers: int, timeout_s: float) -> None:
        self._workers = workers
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(workers)
        self._pool: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def call(self, fn: Callable[..., T], *args: Any, timeout_s: float | None = None) -> T:
        """Returns `fn(*args)`, carried out in a worker. `fn` must be importable by name, arguments and result must
        pickle.

        `timeout_s` counts from the moment a worker takes the call. Raises ItemError("timeout") where it was not
        enough and ItemError("crashed") where the worker died (its exit status or signal is in the detail); what `fn`
        raises comes back as it is, the worker's traceback added as a note. Cancelling kills the work. Where a worker
        dies between two calls, calls of others may be begun a second time, so `fn` must stand being repeated.
        """
        from pebble import ProcessExpired

        name = getattr(fn, "__qualname__", repr(fn))
        limit = self._timeout_s if timeout_s is None else timeout_s
        work = pickle.dumps((fn, args))
        async with self._free:
            for _ in range(_TRIES):
                pool = self._running()
                try:
                    reply = await asyncio.wrap_future(pool.schedule(_carry_out, args=(work,), timeout=limit))
                except TimeoutError:
                    raise ItemError("timeout", f"{name} took longer than {limit:g} s and was killed") from None
                except ProcessExpired as error:
                    raise ItemError("crashed", f"{name}: its process died, {_death(error.exitcode)}") from None
                except BrokenProcessPool:
                    await asyncio.to_thread(self._discard, pool)
                    continue
                value, error_note = pickle.loads(reply)
                if error_note is None:
                    return cast(T, value)
                value.add_note(error_note)
                raise value
        raise ItemError("crashed", f"{name}: worker processes died {_TRIES} times before they took the call")

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        if self._pool is not None:
            self._discard(self._pool)

    def _running(self) -> Any:
        if self._pool is not None and not self._pool.active:
            self._discard(self._pool)
        if self._pool is None:
            from pebble import ProcessPool

            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPool(self._workers, initializer=_end_with, initargs=(os.getpid(),), context=context)
        return self._pool

    def _discard(self, pool: Any) -> None:
        if self._pool is pool:
            self._pool = None
        pool.stop()
        pool.join()


def _death(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _carry_out(work: bytes) -> bytes:
    """In the worker: one call. Everything crosses as bytes, so that what does not pickle harms no other call."""
    try:
        fn, args = pickle.loads(work)
        return pickle.dumps((fn(*args), None))
    except Exception as error:  # noqa: BLE001 - it is raised where the call was made
        note = "in a worker process:\n" + "".join(traceback.format_exception(error))
        try:
            reply = pickle.dumps((error, note))
            pickle.loads(reply)
        except Exception:  # noqa: BLE001 - exceptions whose constructors take what they do not keep
            reply = pickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), note))
        return reply


def _end_with(parent: int) -> None:
    """In the worker, at its start: see to it that it ends with process `parent`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
    else:
        threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    process = multiprocessing.parent_process()
    if process is not None:
        wait([process.sentinel])
    os._exit(1)
