"""An event loop in a thread of its own, for callers that have none, or that have one which must not be held up.

A notebook's cells run inside a loop, and so does much other code. There `asyncio.run` is refused. So every call from
outside runs in this loop. What belongs to a loop (a server's connections, a model's process) is kept from one call to
the next.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from hardcut.schemas.errors import UsageError

T = TypeVar("T")

_END_S = 5.0
"""How long the end of the process waits for what is still open."""


class _Job:
    """A task of the loop, as seen from other threads. `future` is done when the task is, also when it is cancelled."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # nobody else cancels it: it is done when the task is
        loop.call_soon_threadsafe(self._begin, work)

    def cancel(self) -> None:
        self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self.future.set_exception(asyncio.CancelledError())
        elif error := task.exception():
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())


class Background:
    """The loop. It begins with the first call and ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = 0
        self._told_at_exit = self._ending = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; the calling thread waits for it. Ctrl-C ends the work first, then it is raised.

        Raises UsageError where the work itself asks for it: it would wait for ever.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise UsageError(
                "called from inside Hardcut's own loop, it would wait for itself: call it from a plain function"
            )
        job = _Job(self._running(), work)
        try:
            result: T = job.future.result()
        except BaseException:
            if not job.future.done():  # interrupted from outside
                job.cancel()
                wait([job.future])
            raise
        return result

    def close_with(self, owner: object, close: Callable[[], Coroutine[Any, Any, None]]) -> weakref.finalize[..., Any]:
        """Has the loop run `close` once nobody holds `owner` any more, at the latest at the end of the process.
        `detach` what is returned where that is no longer wanted."""
        finalizer = weakref.finalize(owner, self._close, close)
        if not self._told_at_exit:  # after the first finalizer: so it is called before them all
            self._told_at_exit = True
            atexit.register(setattr, self, "_ending", True)
        return finalizer

    def _close(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        job = _Job(self._running(), close())
        if self._ending:
            wait([job.future], _END_S)

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """As `run`, for a caller with a loop of its own, which goes on meanwhile. Cancelling ends the work first."""
        job = _Job(self._running(), work)
        try:
            result: T = await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            job.cancel()
            await asyncio.to_thread(wait, [job.future])
            raise
        return result

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():  # a fork has no threads
                self._loop, self._process = asyncio.new_event_loop(), os.getpid()
                self._thread = threading.Thread(target=self._loop.run_forever, name="hardcut", daemon=True)
                self._thread.start()
            return self._loop


background = Background()
"""The one of this process."""
