"""What a backend that costs something offers beside the `Teacher` protocol, for `CachedTeacher` to stand before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.teacher.prompts.render import Rendered
from hardcut.teacher.protocol import Outcome, Reply, Request, Task


class CallMeter(Protocol):
    """Told of everything that is sent and comes back, at the moment it happens."""

    async def sending(self) -> None:
        """Before each call that may be billed: first tries, retries and repairs. Raises BudgetReached."""
        ...

    def unsent(self) -> None:
        """A call that was announced certainly never reached the server."""
        ...

    def received(self, tokens: Tokens, estimated: bool = False) -> None:
        """What a call took, whether or not its answer could be used; `estimated` where nobody has counted it."""
        ...


class Meter(CallMeter, Protocol):
    """What a backend tells of its calls and its replies."""

    async def keep(self, position: int, reply: Reply) -> None:
        """A valid reply to the request at `position`. Called while the other requests of the batch are still on their
        way, so that none that was paid for is lost with them."""
        ...


class Unmetered:
    """A meter that counts and keeps nothing."""

    async def sending(self) -> None: ...
    def unsent(self) -> None: ...
    def received(self, tokens: Tokens, estimated: bool = False) -> None: ...
    async def keep(self, position: int, reply: Reply) -> None: ...


@dataclass(frozen=True, slots=True)
class Question:
    """A request with its prompt filled in. `key` is a digest of all that could change the reply; `former` are keys
    under which an earlier version kept the same reply."""

    request: Request
    teacher: TeacherRef
    prompt: Rendered
    key: str
    former: tuple[str, ...] = ()


class Backend(Protocol):
    """A teacher whose replies are worth keeping."""

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef: ...

    def prepare(self, requests: Sequence[Request]) -> list[Question]:
        """Fills in the prompts of requests about one video. Sends nothing."""
        ...

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        """As `Teacher.complete`, telling `meter` of all that happens."""
        ...

    async def ping(self) -> str: ...
    async def close(self) -> None: ...
