"""Replies are paid for once: a teacher that looks into the cache first, and books every call that is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from pydantic import ValidationError

from hardcut.engine.budget import BookedCalls, CallBudget, current_stage
from hardcut.engine.reply_cache import ReplyCache
from hardcut.schemas.addresses import canonical_name
from hardcut.schemas.base import Frozen
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.schemas.teachers import Price
from hardcut.teacher.backend import Backend, BatchBackend, Question
from hardcut.teacher.brief import Brief, Briefing
from hardcut.teacher.confidence import contradicts
from hardcut.teacher.names import book_name
from hardcut.teacher.protocol import Answer, LeftOut, Outcome, Reply, Request, Task


class CachedTeacher:
    """Asks `backend` only for what is not in `replies`, and each question once, however often it is asked at the same
    time. Only valid replies are kept, each before anybody sees it (none are without `replies`). With a `budget`, every
    call is booked before it is sent; BudgetReached then ends the batch after what was in flight has been kept.
    `name` is that of the teacher in the books. `closes_backend` is false where the backend belongs to somebody else.
    """

    def __init__(
        self,
        backend: Backend,
        replies: ReplyCache | None = None,
        budget: CallBudget | None = None,
        price: Price | None = None,
        *,
        name: str | None = None,
        closes_backend: bool = True,
    ) -> None:
        self._backend = backend
        self._price = price
        self._closes_backend = closes_backend
        self._name = name or book_name(backend.describe("judge", Sampling()))
        if budget and price:
            budget.charge(self._name, price, is_called=lambda booked: canonical_name(booked) == self._name)
        self._replies = replies
        self._budget = budget
        self._asked: dict[str, asyncio.Future[Outcome | None]] = {}

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        return self._backend.describe(task, sampling)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, from the cache or from the backend."""
        briefs, questions = self._prepared(requests)
        wanted = {question.key: question for question in questions}
        if self._replies:
            await self._replies.uses.note(current_stage.get(""), wanted)
        known: dict[str, Outcome] = {}
        while wanted:
            known |= self._stored(wanted)
            missing = {key: question for key, question in wanted.items() if key not in known}
            others = {key: self._asked[key] for key in missing if key in self._asked}
            known |= await self._ask({key: question for key, question in missing.items() if key not in others})
            for key, future in others.items():
                outcome = await asyncio.shield(future)
                if outcome is not None:  # None: whoever asked has given up, so look and ask again
                    known[key] = outcome
            wanted = {key: question for key, question in missing.items() if key not in known}
        return [brief.restored(known[question.key]) for brief, question in zip(briefs, questions, strict=True)]

    def stored(self, requests: Sequence[Request]) -> list[Reply | None]:
        """The replies that are in the cache, None for each that is not. Asks nothing."""
        briefs, questions = self._prepared(requests)
        known = self._stored({question.key: question for question in questions})
        replies = [known.get(question.key) for question in questions]
        return [brief.restored(reply) for brief, reply in zip(briefs, replies, strict=True)]

    async def bodies(self, requests: Sequence[Request]) -> dict[str, bytes]:
        """What would be sent for those that are not in the cache, each once, by its key. Raises UsageError where the
        backend cannot be asked by a file."""
        _, questions = self._prepared(requests)
        wanted = {question.key: question for question in questions}
        stored = self._stored(wanted)
        missing = {key: question for key, question in wanted.items() if key not in stored}
        return dict(zip(missing, await self._batched().bodies(list(missing.values())), strict=True))

    async def take_in(
        self, requests: Sequence[Request], answers: Mapping[str, bytes]
    ) -> tuple[dict[str, Outcome], set[str]]:
        """Keeps and books what answers these requests and is not there yet. Gives the outcomes by key, and the keys of
        those that were there."""
        _, questions = self._prepared(requests)
        wanted = {question.key: question for question in questions if question.key in answers}
        stored = self._stored(wanted)
        missing = {key: question for key, question in wanted.items() if key not in stored}
        meter = _Meter(list(missing), self._replies, self._budget, self._name)
        told = [answers[key] for key in missing]
        found = await self._batched().take_in(list(missing.values()), told, meter)
        return {**stored, **dict(zip(missing, found, strict=True))}, set(stored)

    def _batched(self) -> BatchBackend:
        if not isinstance(self._backend, BatchBackend):
            raise UsageError(f"{self._name}: only teachers behind a server (openai:MODEL@URL) can be asked by a file")
        return self._backend

    def _prepared(self, requests: Sequence[Request]) -> tuple[list[Brief], list[Question]]:
        """The requests as a model gets them, and its questions."""
        briefing = Briefing()
        briefs = [briefing.brief(request) for request in requests]
        return briefs, self._backend.prepare([brief.request for brief in briefs])

    async def ping(self) -> str:
        return await self._backend.ping()

    async def close(self) -> None:
        """Closes the backend; cache and budget belong to whoever opened them."""
        if self._closes_backend:
            await self._backend.close()
        if self._budget:
            await self._budget.close()

    def lent(self, replies: ReplyCache | None, budget: CallBudget | None) -> CachedTeacher:
        """The same backend behind another cache and budget. Closing that one leaves the backend open."""
        return CachedTeacher(self._backend, replies, budget, self._price, name=self._name, closes_backend=False)

    async def _ask(self, wanted: Mapping[str, Question]) -> dict[str, Outcome]:
        """Asks the backend, letting others who want the same wait for it. What another process is asking is waited for
        and not among the outcomes: it is in the cache then, or free to be asked."""
        if not wanted:
            return {}
        loop = asyncio.get_running_loop()
        futures = {key: loop.create_future() for key in wanted}
        self._asked |= futures
        mine: Collection[str] = wanted
        try:
            if self._replies:
                mine = await self._replies.claim(wanted)
            outcomes = await self._ask_backend({key: wanted[key] for key in wanted if key in mine})
            for key, outcome in outcomes.items():
                futures[key].set_result(outcome)
            if self._replies:
                self._replies.claims.give_up(mine)
                await self._replies.claims.wait(wanted.keys() - mine)
            return outcomes
        finally:
            if self._replies:
                self._replies.claims.give_up(mine)
            for key, future in futures.items():
                del self._asked[key]
                if not future.done():
                    future.set_result(None)

    async def _ask_backend(self, wanted: Mapping[str, Question]) -> dict[str, Outcome]:
        if not wanted:
            return {}
        meter = _Meter(list(wanted), self._replies, self._budget, self._name)
        return dict(zip(wanted, await self._backend.ask(list(wanted.values()), meter), strict=True))

    def _stored(self, wanted: Mapping[str, Question]) -> dict[str, Reply]:
        if self._replies is None:
            return {}
        keys = {key: (key, *question.former) for key, question in wanted.items()}
        bodies = self._replies.get_many([each for every in keys.values() for each in every])
        found: dict[str, Reply] = {}
        for key, every in keys.items():
            for each in (each for each in every if each in bodies):
                reply = self._read(bodies[each], wanted[key].request)
                if reply is not None:
                    found[key] = reply
                    break
                self._replies.reject(each, bodies[each])
        return found

    def _read(self, body: str, request: Request) -> Reply | None:
        """The kept reply; None where it no longer passes the checks that it passed when it was kept."""
        try:
            kept = _Kept.model_validate_json(body)
            parsed = request.reply.model_validate_json(kept.parsed) if request.reply and kept.parsed else None
        except ValidationError:
            return None
        if kept.answer and contradicts(kept.answer, request.sampling):
            return None
        return Reply(
            text=kept.text,
            teacher=self.describe(request.task, request.sampling),
            parsed=parsed,
            answer=kept.answer,
            reasoning=kept.reasoning,
            tokens=kept.tokens,
            left_out=kept.left_out,
            shown=kept.shown,
        )


class _Kept(Frozen):
    """A reply as it stands in the cache."""

    text: str
    parsed: str | None
    answer: Answer | None
    reasoning: str
    tokens: Tokens
    left_out: tuple[LeftOut, ...] = ()
    shown: str | None = None


class _Meter(BookedCalls):
    """Books calls and tokens under the stage that was running when they were asked for, and keeps replies under their
    keys."""

    def __init__(
        self, keys: Sequence[str], replies: ReplyCache | None, budget: CallBudget | None, teacher: str
    ) -> None:
        super().__init__(budget, teacher)
        self.keys = keys
        self.replies = replies

    async def keep(self, position: int, reply: Reply) -> None:
        if self.replies is None:
            return
        kept = _Kept(
            text=reply.text,
            parsed=reply.parsed.model_dump_json() if reply.parsed else None,
            answer=reply.answer,
            reasoning=reply.reasoning,
            tokens=reply.tokens,
            left_out=reply.left_out,
            shown=reply.shown,
        )
        without = {"shown"} if kept.shown is None else None  # as earlier versions wrote it
        await self.replies.put(self.keys[position], kept.model_dump_json(exclude=without))
