"""Calls of one server: their pace, what is tried again, what they took, and what ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from hardcut.engine.retry import with_retries
from hardcut.schemas.errors import BudgetReached, HardcutError, ItemError, MissingDependency
from hardcut.schemas.records import Tokens
from hardcut.teacher.backend import CallMeter
from hardcut.teacher.server.faults import NoConnection, RequestFailed, RequestRejected
from hardcut.teacher.server.http import Endpoint
from hardcut.teacher.server.pace import Slot

T = TypeVar("T")
R = TypeVar("R", covariant=True)

_BUSY = frozenset({"http_429", "http_503", "timeout"})
"""Failures that say that the server has too much to do."""
_DEAF_AFTER = 20
"""Failed calls in a row, with no answer between them, after which a request that is given up ends the run."""


class Call(Protocol[R]):
    """One request of a server. `kind` tells apart what takes unlike times."""

    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def meter(self) -> CallMeter: ...

    def body(self) -> tuple[bytes, str]:
        """What is sent, and its content type. Made when its turn comes: those of all that wait would fill the
        memory."""
        ...

    async def take(self, data: bytes) -> R:
        """Reads an answer, books what it took, and keeps what was paid for. Raises RequestFailed where it is none and
        asking again may help."""
        ...

    def lost(self) -> None:
        """Books what the call may have taken, of which nothing is known."""
        ...


class Calls:
    """Sends calls to `endpoint`, each tried `attempts` times in all.

    What ends the run: a server that cannot be reached; one that by the time that a call is given up has answered
    nothing but errors to the last 20 calls, or has never answered and has no other call to answer; and whatever
    concerns the account and not the call (`faults.fault_of`). From then on nothing more is sent. One that is not
    `patient` ends by the first call that finds nobody.
    """

    def __init__(self, endpoint: Endpoint, *, attempts: int, backoff_s: float, patient: bool = True) -> None:
        self._endpoint = endpoint
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._patient = patient
        self._failures = self._askers = 0
        self._ended: HardcutError | None = None
        self.heard = False
        """Whether the server has answered any call."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """For as long as somebody asks. Once nobody does, what ended the run may be mended, and is tried again."""
        if not self._askers:
            self._ended = None
        self._askers += 1
        try:
            yield
        finally:
            self._askers -= 1

    async def run(self, works: Sequence[Callable[[Slot], Awaitable[T]]]) -> list[T]:
        """What each of `works` returns, which get their turns as the server's pace allows. Where one of them ends the
        run, the others are still waited for."""
        return await self._endpoint.pace.run(works)

    async def send(self, call: Call[T], slot: Slot) -> T:
        """The answer to one call, tried again as long as its failures may pass.

        Raises RequestFailed for one that is given up, RequestRejected for one that is refused for good, and what ends
        the run.
        """
        try:
            return await with_retries(
                partial(self._attempt, call, slot), attempts=self._attempts, base_s=self._backoff_s
            )
        except NoConnection as error:
            raise self.unreachable(error) from error
        except RequestFailed as error:
            if self._failures >= _DEAF_AFTER or (not self.heard and self._endpoint.pace.idle):
                raise self.end(
                    MissingDependency(
                        f"{self._endpoint.url} answered none of the last {self._failures} calls, the last one so: "
                        f"{error}: mend the server, then start again to go on"
                    )
                ) from error
            raise
        except (BudgetReached, ItemError):
            raise
        except HardcutError as error:
            raise self.end(error) from error.__cause__

    def unreachable(self, error: NoConnection) -> HardcutError:
        """What ends the run where there is nobody."""
        return self.end(MissingDependency(f"{error}: start the server or mend the address, then start again"))

    def end(self, error: HardcutError) -> HardcutError:
        """From now on nothing is sent any more; returns the error."""
        self._ended = self._ended or error
        return error

    async def _attempt(self, call: Call[T], slot: Slot) -> T:
        """A reply is kept before the next call is sent in its place: so no more than what may be in flight is lost with
        the process."""
        await slot.take()
        if self._ended:
            raise self._ended
        try:
            data = await self._post(call, slot)
            slot.answered(call.kind)
            result = await call.take(data)
        except RequestFailed as error:
            if isinstance(error, NoConnection) and not self._patient:
                slot.give_back()
                raise self.unreachable(error) from error
            self._failures += 1
            slot.give_back()
            raise
        self._failures, self.heard = 0, True
        return result

    async def _post(self, call: Call[T], slot: Slot) -> bytes:
        """A call that was sent and of which nothing is known, because it took too long, broke off or was given up, may
        have been paid for: it counts as an estimate."""
        await call.meter.sending()
        body, content_type = call.body()
        try:
            return await self._endpoint.post(call.path, body, content_type=content_type)
        except NoConnection:
            call.meter.unsent()
            raise
        except RequestFailed as error:
            if error.reason in _BUSY:
                slot.busy(error.retry_after_s)
            if error.refused:
                call.meter.received(Tokens())
            else:
                call.lost()
            raise
        except (RequestRejected, HardcutError):  # the request or the account is refused, and nothing was taken
            call.meter.received(Tokens())
            raise
        except asyncio.CancelledError:
            call.lost()
            raise
