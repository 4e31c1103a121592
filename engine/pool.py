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
from collections.abc import Callable, Collection
from multiprocessing.connection import wait
from typing import Any, Self, TypeVar, cast

from hardcut.engine.stopwatch import waiting
from hardcut.schemas.errors import ItemError

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_TRIES = 3
"""How often a call is begun before it is held to be what kills the worker."""


class WorkerPool:
    """Up to `workers` processes that carry out one call each at a time, each call within `timeout_s` seconds.

    No process is started before it is needed, and leaving the context ends all of them. Workers are spawned, never
    forked: a fork would copy the locks of our threads. They end with us even where we are killed with SIGKILL: on
    Linux the kernel does that (PR_SET_PDEATHSIG), elsewhere a thread in every worker waits for our end, which a call
    that never lets go of the interpreter's lock can hold up.

    Each worker is a pebble pool of one: in a shared one, a worker that dies within a moment of taking a call can take
    the others' calls with it.
    """

    def __init__(self, workers: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._closed = False
        self._pools: set[Any] = set()
        self._idle: asyncio.LifoQueue[Any] = asyncio.LifoQueue()  # last in, first out: warm workers before new ones
        for _ in range(workers):
            self._idle.put_nowait(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def call(self, fn: Callable[..., T], *args: Any, timeout_s: float | None = None) -> T:
        """Returns `fn(*args)`, carried out in a worker. `fn` is importable by name, arguments and result pickle.

        `timeout_s` counts from the moment the worker takes the call. Raises ItemError("timeout") where it was not
        enough and ItemError("crashed") where the worker died (its exit status or signal is in the detail); what `fn`
        raises comes back as it is, the worker's traceback added as a note. Cancelling kills the work. Where a worker
        dies before anyone saw it take the call, the call is begun again, so `fn` must stand being repeated.
        """
        from pebble import ProcessExpired

        name = getattr(fn, "__qualname__", repr(fn))
        limit = self._timeout_s if timeout_s is None else timeout_s
        work = pickle.dumps((fn, args))
        with waiting():
            pool = await self._idle.get()
        try:
            for _ in range(_TRIES):
                pool = pool or self._start()
                try:
                    reply = await asyncio.wrap_future(pool.schedule(_carry_out, args=(work,), timeout=limit))
                except TimeoutError:
                    raise ItemError("timeout", f"{name} took longer than {limit:g} s and was killed") from None
                except ProcessExpired as error:
                    raise ItemError("crashed", f"{name}: its process died, {_death(error.exitcode)}") from None
                except RuntimeError:  # the pool is broken: its worker died without a call that it is known to have
                    broken, pool = pool, None
                    self._pools.discard(broken)
                    await asyncio.to_thread(_end, [broken])
                    continue
                value, note = pickle.loads(reply)
                if note is None:
                    return cast(T, value)
                value.add_note(note)
                raise value
            raise ItemError("crashed", f"{name}: its process died {_TRIES} times before it was seen to take the call")
        finally:
            self._idle.put_nowait(pool)

    def close(self) -> None:
        """Ends all workers, whatever they are doing."""
        self._closed = True
        _end(self._pools)
        self._pools.clear()

    def _start(self) -> Any:
        from pebble import ProcessPool

        if self._closed:
            raise RuntimeError("the worker pool is closed")
        context = multiprocessing.get_context("spawn")
        pool = ProcessPool(1, initializer=_end_with, initargs=(os.getpid(),), context=context)
        self._pools.add(pool)
        return pool


def _end(pools: Collection[Any]) -> None:
    for pool in pools:
        pool.stop()
    for pool in pools:
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
