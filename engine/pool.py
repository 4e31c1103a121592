"""Work in processes that may hang or crash without harm: only the call that did it fails.

The pools of the standard library neither kill a call that takes too long nor survive a worker that dies.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import pickle
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from hardcut.engine.child import start
from hardcut.engine.closing import Closing
from hardcut.engine.stopwatch import waiting
from hardcut.engine.worker import work
from hardcut.schemas.errors import ItemError

T = TypeVar("T")

urgency: ContextVar[int] = ContextVar("urgency", default=0)
"""Of the calls that wait for a worker the most urgent one goes first, and of several such the one that came first."""


@dataclass(slots=True)
class Home:
    """Which unit a call is about, and the node that did the last call about it: what was read once is at hand there."""

    unit: str
    node: str | None = None


home: ContextVar[Home | None] = ContextVar("home", default=None)
"""Of the unit that is under way. A pool of one machine has no use for it."""
_TRIES = 3
"""How often a call is begun before it is held to be what kills the worker."""
_END_S = 10.0
"""How long the end of a process may take that has let go of its connection."""


class Pool(Protocol):
    """Processes that carry out calls, on this machine (`WorkerPool`) or on many (`ray_pool.RayPool`)."""

    @property
    def places(self) -> int:
        """How many calls are carried out at once."""
        ...

    async def call(self, fn: Callable[..., T], *args: Any, timeout_s: float | None = None) -> T:
        """Returns `fn(*args)`, carried out in a process. `fn` is importable by name, arguments and result pickle.

        `timeout_s` counts from the moment the process takes the call. Raises ItemError("timeout") where it was not
        enough and ItemError("crashed") where the process died (its exit status or signal is in the detail); what `fn`
        raises comes back as it is, with the traceback from over there as a note. Cancelling kills the work. Where a
        process dies before it took the call, the call is begun again, so `fn` must stand being repeated.
        """
        ...


class Call(NamedTuple):
    """A call as it crosses to a process. `limit_s` is None where the pool's own limit holds."""

    name: str
    body: bytes
    limit_s: float | None

    @classmethod
    def of(cls, fn: Callable[..., object], args: tuple[Any, ...], limit_s: float | None) -> Call:
        return cls(getattr(fn, "__qualname__", repr(fn)), pickle.dumps((fn, args)), limit_s)


def result_of(reply: bytes) -> Any:
    """What a call returned. Raises what it raised."""
    value, note = pickle.loads(reply)
    if note is None:
        return value
    value.add_note(note)
    raise value


class WorkerPool(Closing):
    """Up to `workers` processes that carry out one call each at a time, each call within `timeout_s` seconds.

    No process is started before it is needed, and leaving the context ends all of them. Workers are begun anew, never
    forked: a fork would copy the locks of our threads. They end with us even where we are killed with SIGKILL
    (`worker.py`). A thread waits for each; it is also what the kernel takes for the worker's parent, so it lives as
    long as the pool.
    """

    def __init__(self, workers: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="hardcut-worker")
        self._workers = [_Worker() for _ in range(workers)]
        self._closed = False
        self._idle = list(self._workers)  # last in, first out: warm workers before new ones
        self._waiting: list[tuple[int, int, asyncio.Future[_Worker]]] = []
        self._came = itertools.count()

    @property
    def places(self) -> int:
        return len(self._workers)

    async def call(self, fn: Callable[..., T], *args: Any, timeout_s: float | None = None) -> T:
        """As `Pool.call`."""
        return cast(T, result_of(await self.carry_out(Call.of(fn, args, timeout_s))))

    async def carry_out(self, call: Call) -> bytes:
        """The reply to a call, for `result_of`. Raises ItemError as `Pool.call`."""
        if self._closed:
            raise RuntimeError("the worker pool is closed")
        limit = self._timeout_s if call.limit_s is None else call.limit_s
        with waiting():
            worker = await self._take()
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, worker.carry_out, call.body, limit)
        except _TookTooLong:
            raise ItemError("timeout", f"{call.name} took longer than {limit:g} s and was killed") from None
        except _Died as death:
            raise ItemError("crashed", f"{call.name}: its process died, {death}") from None
        except asyncio.CancelledError:
            worker.kill()
            raise
        finally:
            self._give_back(worker)

    async def _take(self) -> _Worker:
        if self._idle:
            return self._idle.pop()
        found: asyncio.Future[_Worker] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-urgency.get(), next(self._came), found))
        try:
            return await found
        except asyncio.CancelledError:
            if not found.cancelled():
                self._give_back(found.result())
            raise

    def _give_back(self, worker: _Worker) -> None:
        while self._waiting:
            _, _, waits = heapq.heappop(self._waiting)
            if not waits.done():
                waits.set_result(worker)
                return
        self._idle.append(worker)

    def close(self) -> None:
        """Ends all workers, also in the middle of a call."""
        self._closed = True
        for worker in self._workers:
            worker.close()
        self._threads.shutdown()


class _TookTooLong(Exception):
    """The call was killed."""


class _Died(Exception):
    """The process died, and how."""


class _Worker:
    """A process that is started when it is needed, and again after it died. One call at a time."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        """Held by the thread that speaks with the process."""
        self._lock = threading.Lock()
        """Of what follows: `kill` comes from another thread."""
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._closed = False

    def carry_out(self, call: bytes, limit_s: float) -> bytes:
        """The worker's reply. In a thread. Raises _TookTooLong, _Died."""
        with self._busy:
            for _ in range(_TRIES):
                connection = self._open()
                try:
                    connection.send_bytes(call)
                    connection.recv_bytes()  # that it was taken
                    break
                except (EOFError, OSError):
                    status = self._end()
            else:
                raise _Died(f"{_death(status)}, {_TRIES} times before it took the call")
            try:
                if connection.poll(limit_s):
                    return connection.recv_bytes()
            except (EOFError, OSError):
                raise _Died(_death(self._end())) from None
            self.kill()
            self._end()
            raise _TookTooLong

    def kill(self) -> None:
        """Ends the process; a call in flight then raises _Died."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """As `kill`, and starts no other."""
        self._closed = True
        self.kill()
        with self._busy:
            self._end()

    def _open(self) -> Connection:
        with self._lock:
            if self._closed:
                raise _Died("the pool was closed")
            if self._connection is None:
                self._process, self._connection = start(work, os.getpid())
            return self._connection

    def _end(self) -> int:
        """Waits for the end of the process, and makes it where it does not come by itself. Returns its exit status."""
        with self._lock:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if process is None or connection is None:
            return 0
        connection.close()
        try:
            return process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _death(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
