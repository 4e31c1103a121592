"""One model behind several addresses: the load is shared, and one that dies is taken out and tried again.

What is asked about one video goes to the replica that was asked about it before, whose cache has its prefix; a new
video goes to the one with the fewest questions on their way. Who answered is the model, wherever it did: the first
address stands in records and books for all.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic

from hardcut.schemas.errors import MissingDependency
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.teacher.backend import Meter, Question
from hardcut.teacher.protocol import Outcome, Reply, Request, Task
from hardcut.teacher.server.openai import OpenAITeacher

_TRIED_AGAIN_S = 30.0
"""A replica that was taken out is asked again after so long."""
_REMEMBERED = 65536
"""Videos of which is known who was asked about them."""


class Replicas:
    """A backend of several that serve one model. What ends a run at one of them, but for a server that does not answer,
    ends it for all; a server that does not answer ends it where no other is left."""

    def __init__(self, replicas: Sequence[OpenAITeacher], *, tried_again_s: float = _TRIED_AGAIN_S) -> None:
        self._replicas = replicas
        self._tried_again_s = tried_again_s
        self._in_flight = [0] * len(replicas)
        self._out_until = [0.0] * len(replicas)
        self._asked: OrderedDict[str, int] = OrderedDict()

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return self._replicas[0].describe(task, sampling)

    def prepare(self, requests: Sequence[Request]) -> list[Question]:
        return self._replicas[0].prepare(requests)

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        """What one replica has answered when it dies is kept, and the rest is asked of another."""
        if not questions:
            return []
        video = _video(questions[0].request)
        kept: dict[int, Outcome] = {}
        while True:
            at = self._choose(video)
            left = [number for number in range(len(questions)) if number not in kept]
            self._in_flight[at] += len(left)
            part = _Part(meter, left, kept)
            try:
                found = await self._replicas[at].ask([questions[number] for number in left], part)
            except MissingDependency:
                self._out_until[at] = monotonic() + self._tried_again_s
                if all(until > monotonic() for until in self._out_until):
                    raise
                continue
            finally:
                self._in_flight[at] -= len(left)
            self._out_until[at] = 0.0
            kept.update(zip(left, found, strict=True))
            return [kept[number] for number in range(len(questions))]

    async def bodies(self, questions: Sequence[Question]) -> list[bytes]:
        """Those for the first address: all serve one model."""
        return await self._replicas[0].bodies(questions)

    async def take_in(self, questions: Sequence[Question], answers: Sequence[bytes], meter: Meter) -> list[Outcome]:
        """As the first would read them."""
        return await self._replicas[0].take_in(questions, answers, meter)

    async def ping(self) -> str:
        """Asks all of them for their models: those that answer must have this one, and one at least must answer."""
        found = await asyncio.gather(*(each.ping() for each in self._replicas), return_exceptions=True)
        wrong = [each for each in found if isinstance(each, BaseException) and not isinstance(each, MissingDependency)]
        missing = [each for each in found if isinstance(each, MissingDependency)]
        if wrong or len(missing) == len(found):
            raise (wrong or missing)[0]
        return "; ".join(each if isinstance(each, str) else f"not there: {each}" for each in found)

    async def close(self) -> None:
        """Closes all connections."""
        for each in self._replicas:
            await each.close()

    def _choose(self, video: str) -> int:
        """The replica that knows a video, else the one with the least to do; of those that are not taken out, where
        there are any."""
        now = monotonic()
        alive = [at for at, until in enumerate(self._out_until) if until <= now] or list(range(len(self._replicas)))
        at = self._asked.get(video)
        if at is None or at not in alive:
            at = min(alive, key=lambda each: self._in_flight[each])
        self._asked[video] = at
        self._asked.move_to_end(video)
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        return at


class _Part:
    """Tells a meter of some of its questions, by their own positions, and remembers what was kept."""

    def __init__(self, meter: Meter, positions: Sequence[int], kept: dict[int, Outcome]) -> None:
        self._meter = meter
        self._positions = positions
        self._kept = kept

    async def sending(self) -> None:
        await self._meter.sending()

    def unsent(self) -> None:
        self._meter.unsent()

    def received(self, tokens: Tokens, estimated: bool = False) -> None:
        self._meter.received(tokens, estimated)

    async def keep(self, position: int, reply: Reply) -> None:
        await self._meter.keep(self._positions[position], reply)
        self._kept[self._positions[position]] = reply


def _video(request: Request) -> str:
    """What all requests about one video begin with: its frames, or what is told of it where there are none."""
    if request.frames:
        return digest("frames", [frame.sha256 for frame in request.frames])
    about = {name: request.inputs[name] for name in ("video", "evidence") if name in request.inputs}
    return digest("told", about or dict(request.inputs))
