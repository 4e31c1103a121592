"""The one place that tries again. The type of an error decides: Transient is tried again, everything else is final."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Transient(Exception):
    """The outside world failed in a way that may pass (429, 503, a dropped connection).

    `retry_after_s` is what the other side asked to wait, in seconds. After the last attempt the error reaches the
    caller, who turns it into what it means there.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


async def with_retries(
    fn: Callable[[], Awaitable[T]],
    *,
    attempts: int,
    base_s: float = 0.5,
    max_wait_s: float = 60.0,
    max_retry_after_s: float = 60.0,
    on_retry: Callable[[Transient], None] = lambda error: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    uniform: Callable[[float, float], float] = random.uniform,
) -> T:
    """Awaits `fn()` up to `attempts` times (at least once) and returns its value.

    Before retry n it waits a random time in [0, min(max_wait_s, base_s * 2^(n-1))] seconds: exponential backoff with
    full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015). Where the error carries `retry_after_s`, that
    time (at most `max_retry_after_s`) and up to `base_s` more, so that many clients do not come back at one instant.
    `on_retry` is called before every wait, for counting. Raises the last Transient, or any other error of `fn` at once.
    """

    try:
        return await fn()  # most calls succeed at once, and tenacity costs as much as a small request
    except Transient as error:
        failed = [error]

    def wait(state: RetryCallState) -> float:
        error = _error(state)
        if error.retry_after_s is not None:
            return min(max(error.retry_after_s, 0.0), max_retry_after_s) + uniform(0.0, base_s)
        return uniform(0.0, min(max_wait_s, base_s * 2.0 ** (state.attempt_number - 1)))

    def before_sleep(state: RetryCallState) -> None:
        error = _error(state)
        _log.debug(
            "attempt %d of %d failed, again in %.2f s: %s", state.attempt_number, attempts, state.upcoming_sleep, error
        )
        on_retry(error)

    async def again() -> T:
        if failed:
            raise failed.pop()
        return await fn()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Transient),
        stop=stop_after_attempt(attempts),
        wait=wait,
        before_sleep=before_sleep,
        sleep=sleep,
        reraise=True,
    )
    return await retrying(again)


def _error(state: RetryCallState) -> Transient:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Transient), "only Transient is tried again"
    return error
