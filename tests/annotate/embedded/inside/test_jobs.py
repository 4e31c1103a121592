"""Background jobs of the embedded server. They need nothing of Argilla's."""

from __future__ import annotations

import asyncio
import logging

import pytest

from hardcut.annotate.embedded.inside.jobs import InlineQueue


async def test_a_job_that_fails_is_told_once_and_its_status_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("no such record")

    async def works() -> None:
        pass

    queue = InlineQueue()
    jobs = [queue.enqueue_call(fails, job_id="one"), queue.enqueue_call(works, job_id="two")]
    with caplog.at_level(logging.DEBUG):
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        await asyncio.sleep(0)  # what is called at their end comes after it
    assert [job.get_status() for job in jobs] == ["failed", "finished"]
    [told] = [record for record in caplog.records if record.name == "hardcut.jobs"]
    assert told.getMessage() == "job one failed" and told.exc_info is not None
