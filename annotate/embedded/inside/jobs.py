"""Argilla's background jobs inside the server's process: no Redis, no worker.

The server reaches its queues through three modules; `install` puts ours in their place before anything imports them.
One job remains, the one that follows a changed distribution. Exchange with the Hugging Face Hub and webhooks need
services or the network: they are switched off and say so.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import types
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn

_LOG = logging.getLogger("hardcut.jobs")
_REMEMBERED = 1000
"""Jobs whose state can still be asked for."""


class InlineJob:
    """One call, run in the server's event loop. The states are those of rq."""

    def __init__(self, job_id: str, call: Callable[[], Awaitable[None]]) -> None:
        self.id = job_id
        self._call = call
        self._status = "queued"

    def get_status(self, refresh: bool = True) -> str:
        return self._status

    async def run(self) -> None:
        """Raises what the call raises."""
        self._status = "started"
        try:
            await self._call()
        except Exception:
            self._status = "failed"
            raise
        self._status = "finished"


class InlineQueue:
    """What rq's `@job` decorator hands calls to."""

    def __init__(self) -> None:
        self.jobs: dict[str, InlineJob] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def enqueue_call(
        self,
        func: Callable[..., Awaitable[None]],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        job_id: str | None = None,
        **_: Any,  # how rq's workers time, retry and order
    ) -> InlineJob:
        job = InlineJob(job_id or str(uuid.uuid4()), lambda: func(*args, **(kwargs or {})))
        self.jobs[job.id] = job
        while len(self.jobs) > _REMEMBERED:
            del self.jobs[next(iter(self.jobs))]
        task = asyncio.get_running_loop().create_task(job.run(), name=job.id)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return job

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nobody waits for a job, so the log is told why it failed."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("job %s failed", task.get_name(), exc_info=error)


class _NoRedis:
    def ping(self) -> bool:
        return True


class _SwitchedOff:
    """A job that the server would start and that is not there."""

    @staticmethod
    def delay(*_: Any, **__: Any) -> NoReturn:
        from argilla_server.errors.future import UnprocessableEntityError

        raise UnprocessableEntityError("the embedded server does not exchange data with the Hugging Face Hub")


class _NoEvent:
    """An event that nobody hears of."""

    async def notify(self, db: Any) -> list[Any]:
        return []


async def _no_event(*_: Any) -> _NoEvent:
    return _NoEvent()


async def _no_events(*_: Any, **__: Any) -> list[Any]:
    return []


def install() -> InlineQueue:
    """Puts our modules where the server looks for its queues. Call before anything imports `argilla_server`."""
    if "argilla_server" in sys.modules:
        raise RuntimeError("the queues come before the server")
    queue = InlineQueue()
    _module(
        "argilla_server.jobs.queues",
        REDIS_CONNECTION=_NoRedis(),
        DEFAULT_QUEUE=queue,
        HIGH_QUEUE=queue,
        JOB_TIMEOUT_DISABLED=-1,
    )
    _module(
        "argilla_server.jobs.hub_jobs",
        import_dataset_from_hub_job=_SwitchedOff,
        export_dataset_to_hub_job=_SwitchedOff,
    )
    _module("argilla_server.jobs.webhook_jobs", enqueue_notify_events=_no_events)
    return queue


def connect(queue: InlineQueue, api: Any) -> None:
    """The rest, after the server is imported: its jobs are looked up in our queue, and there are no webhooks."""
    import argilla_server.api.handlers.v1.jobs as handler
    import argilla_server.webhooks.v1.records as records
    import argilla_server.webhooks.v1.responses as responses
    from rq.exceptions import NoSuchJobError

    class Job:
        @staticmethod
        def fetch(job_id: str, connection: Any) -> InlineJob:
            if job_id not in queue.jobs:
                raise NoSuchJobError(job_id)
            return queue.jobs[job_id]

    handler.Job = Job
    # building an event costs several queries, for each record of a push, and there is nobody to tell
    records.build_record_event = _no_event
    responses.build_response_event = _no_event
    api.router.routes = [route for route in api.router.routes if not route.path.startswith("/webhooks")]


def _module(name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module
