"""A server that is sent pieces of sound: its replies are kept, its calls booked, paced and tried again as a teacher's
are."""

from __future__ import annotations

import io
import wave
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pydantic import ValidationError

from hardcut.engine.budget import BookedCalls, CallBudget
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.addresses import canonical_name
from hardcut.schemas.errors import ItemError
from hardcut.schemas.resources import Resources
from hardcut.schemas.teachers import Price
from hardcut.teacher.server.calls import Calls
from hardcut.teacher.server.faults import RequestFailed, RequestRejected
from hardcut.teacher.server.http import Endpoint
from hardcut.teacher.server.keys import KeySource
from hardcut.teacher.server.pace import Slot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

_BYTES_A_SECOND = 2 * 16_000
"""Of sound: 16 bits, 16 kHz."""


class SoundCall(Protocol):
    """One piece of sound (WAV) that begins at `start` seconds of its video. `key` covers all that can change the
    reply; under the keys `former` earlier versions kept it."""

    @property
    def start(self) -> float: ...
    @property
    def sound(self) -> bytes: ...
    @property
    def key(self) -> str: ...
    @property
    def former(self) -> tuple[str, ...]: ...
    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...

    def body(self) -> tuple[bytes, str]:
        """What is sent, and its content type."""
        ...


class SoundServer(Generic[T]):
    """Each piece of sound is asked for once, over all processes: replies are kept in `replies` by their key.

    `reads` makes something of a reply, or raises ValidationError; `wanted` says in words what a reply should be, and
    `about` what is asked for. Where nobody is there, or the account is at fault, the run ends (`Calls`).
    """

    def __init__(
        self,
        model: str,
        url: str,
        resources: Resources,
        *,
        reads: Callable[[str | bytes], T],
        wanted: str,
        about: str,
        key: KeySource | None = None,
        replies: ReplyCache | None = None,
        budget: CallBudget | None = None,
        minute: float = 0.0,
    ) -> None:
        self._reads, self._wanted, self._about = reads, wanted, about
        self._endpoint = Endpoint(
            url, concurrency=resources.concurrency, timeout_s=resources.request_timeout_s, key=key
        )
        self._calls = Calls(self._endpoint, attempts=resources.max_attempts, backoff_s=0.5)
        self._replies = replies
        self._budget = budget
        self._book_name = f"server:{model}@{self._endpoint.url}"
        if budget:
            budget.charge(
                self._book_name, Price(), minute=minute, is_called=lambda name: canonical_name(name) == self._book_name
            )

    @property
    def url(self) -> str:
        """The address in its one spelling."""
        return self._endpoint.url

    async def answers(self, calls: Sequence[SoundCall]) -> list[T]:
        """What is answered to each call. Raises ItemError, and what ends the run."""
        told: dict[str, T] = {}
        with self._calls.asking():
            while missing := {call.key: call for call in calls if call.key not in told}:
                told |= self._kept(missing)
                told |= await self._ask({key: call for key, call in missing.items() if key not in told})
        return [told[call.key] for call in calls]

    async def close(self) -> None:
        """Closes all connections, and hands back the calls that were reserved and not made."""
        await self._endpoint.close()
        if self._budget:
            await self._budget.close()

    def _kept(self, calls: Mapping[str, SoundCall]) -> dict[str, T]:
        """The replies that are in the cache, as far as this version reads them."""
        found: dict[str, T] = {}
        if self._replies is None:
            return found
        belongs = {kept: key for key, call in calls.items() for kept in (*call.former, key)}
        bodies = self._replies.get_many(list(belongs))
        for kept in (each for each in belongs if each in bodies):
            try:
                found[belongs[kept]] = self._reads(bodies[kept])
            except ValidationError:
                self._replies.reject(kept, bodies[kept])
        return found

    async def _ask(self, calls: Mapping[str, SoundCall]) -> dict[str, T]:
        """Asks for what nobody else is asking for, and waits for the others, who keep what they get."""
        if self._replies is None:
            return await self._send(calls)
        mine = await self._replies.claim(calls.keys())
        try:
            told = await self._send({key: call for key, call in calls.items() if key in mine})
        finally:
            self._replies.claims.give_up(mine)
        await self._replies.claims.wait(calls.keys() - mine)
        return told

    async def _send(self, calls: Mapping[str, SoundCall]) -> dict[str, T]:
        meter = BookedCalls(self._budget, self._book_name)
        sent = [_Sent(call, meter, self._take) for call in calls.values()]
        answers = await self._calls.run([partial(self._one, call) for call in sent])
        return dict(zip(calls, answers, strict=True))

    async def _one(self, sent: _Sent[T], slot: Slot) -> T:
        at = f"{self._about} from {sent.call.start:g} s"
        try:
            return await self._calls.send(sent, slot)
        except RequestFailed as error:
            raise ItemError(error.reason, f"{at}: {error}", error.raw) from error
        except RequestRejected as error:
            raise ItemError(f"http_{error.status}", f"{at}: {error}", error.raw) from error

    async def _take(self, call: SoundCall, data: bytes) -> T:
        """Reads the reply and keeps it. Raises ItemError for one that cannot be read: it is paid for."""
        try:
            told = self._reads(data)
        except ValidationError as error:
            detail = f"{self._about} from {call.start:g} s: {self.url} did not answer with {self._wanted}"
            raise ItemError("invalid_reply", detail, data.decode("utf-8", "replace")) from error
        if self._replies:
            await self._replies.put(call.key, data.decode())
        return told


class _Sent(Generic[T]):
    """A call on its way, with what it takes in the books."""

    def __init__(self, call: SoundCall, meter: BookedCalls, taken: Callable[[SoundCall, bytes], Awaitable[T]]) -> None:
        self.call, self.meter, self._taken = call, meter, taken
        self.path, self.kind, self.body = call.path, call.kind, call.body

    def lost(self) -> None:
        self.meter.heard(len(self.call.sound) / _BYTES_A_SECOND)

    async def take(self, data: bytes) -> T:
        self.meter.heard(len(self.call.sound) / _BYTES_A_SECOND)
        return await self._taken(self.call, data)


def as_wav(sound: NDArray[np.float32]) -> bytes:
    """Mono sound of 16 kHz as WAV of 16 bits."""
    import numpy as np

    from hardcut.media.audio import RATE

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
