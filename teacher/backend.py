"""The protocol of a backend whose calls cost something. `CachedTeacher` asks such a backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.teacher.prompts.render import Rendered
from hardcut.teacher.protocol import Outcome, Reply, Request, Task


class CallMeter(Protocol):
    """Is told of each call and each answer when it happens."""

    async def sending(self) -> None:
        """Called before each call that may be billed: first tries, retries and repairs. Raises BudgetReached."""
        ...

    def unsent(self) -> None:
        """An announced call has certainly not reached the server."""
        ...

    def received(self, tokens: Tokens, estimated: bool = False) -> None:
        """The tokens of a call, even if its answer cannot be used. `estimated`: the server has not counted them."""
        ...


class Meter(CallMeter, Protocol):
    """Is told of a backend's calls and replies."""

    async def keep(self, position: int, reply: Reply) -> None:
        """Keeps a valid reply to the request at `position`. Called while others of the batch are still in flight, so
        that a paid reply is not lost with them."""
        ...


class Unmetered:
    """A meter that counts and keeps nothing: for a look at a server outside of a run."""

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
        """As `Teacher.complete`. Tells `meter` of each call and reply."""
        ...

    async def ping(self) -> str: ...
    async def close(self) -> None: ...


@runtime_checkable
class BatchBackend(Protocol):
    """A backend whose questions can be written to a file and answered later."""

    async def bodies(self, questions: Sequence[Question]) -> list[bytes]:
        """What would be sent for each question. Asks the server what it can do, where that is not known."""
        ...

    async def take_in(self, questions: Sequence[Question], answers: Sequence[bytes], meter: Meter) -> list[Outcome]:
        """Reads an answer to each question, which came in another way, as if it had been sent. Tells `meter`."""
        ...
