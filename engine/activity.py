"""What the teachers of this process are doing: calls in flight, and what they took so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Reading(NamedTuple):
    """The counts of one moment, since the process began. `in_flight_s` is the sum of all calls' times in seconds, with
    those that are under way: over the time between two readings it is the number of calls in flight."""

    at_s: float
    calls: int
    in_flight: int
    in_flight_s: float
    prompt_tokens: int
    completion_tokens: int


class Activity:
    """Counts calls as they are sent and answered, not as they are booked. For the event loop's thread; may be read from
    any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._now = Reading(clock(), 0, 0, 0.0, 0, 0)

    def sent(self) -> None:
        """A call is under way."""
        now = self.read()
        self._now = now._replace(calls=now.calls + 1, in_flight=now.in_flight + 1)

    def ended(self, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        """A call is answered or given up."""
        now = self.read()
        self._now = now._replace(
            in_flight=max(0, now.in_flight - 1),
            prompt_tokens=now.prompt_tokens + prompt_tokens,
            completion_tokens=now.completion_tokens + completion_tokens,
        )

    def taken_back(self) -> None:
        """A call was certainly never sent."""
        self.ended()
        self._now = self._now._replace(calls=self._now.calls - 1)

    def read(self) -> Reading:
        """The counts of this moment."""
        at, before = self._clock(), self._now
        return before._replace(at_s=at, in_flight_s=before.in_flight_s + before.in_flight * (at - before.at_s))
