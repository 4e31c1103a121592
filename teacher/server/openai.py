"""`openai:MODEL@URL`: any server that speaks chat completions, vLLM first.

A request is a system text and one message: the frames, each after its time, then the text. System text and frames are
the same bytes for all requests of one video, which go out together, so that the server can keep their common prefix.
Structured replies are asked for by a JSON Schema and checked; one that does not fit is asked for once more, with the
error. A judge's answer is read with both words' log-probabilities where the server gives those of tokens that it is
asked for (vLLM: `logprob_token_ids`), else with the 20 most likely tokens at its position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from hardcut.engine.retry import with_retries
from hardcut.media.frames import Frame
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.teacher.backend import Meter, Question, Unmetered
from hardcut.teacher.confidence import find_answer, first_token_answer, scored_answer
from hardcut.teacher.prompts.question import InvalidReply, closed_reply, parse_reply, prepare_questions
from hardcut.teacher.prompts.render import Prompts
from hardcut.teacher.protocol import Answer, Outcome, Refusal, Reply, Request, Shown, Task
from hardcut.teacher.server.completion import Completion, Models, Tokenized, Unreadable
from hardcut.teacher.server.http import Endpoint, NoConnection, RequestFailed, RequestRejected
from hardcut.teacher.server.pace import Slot
from hardcut.teacher.server.request import ChatRequest, chat, media_parts, to_json
from hardcut.teacher.spellings import SPELLINGS, Spellings

VERSION = 3
"""Counted up when the form of a request or the reading of a reply changes: part of every key."""

_BUSY = frozenset({"http_429", "http_503", "timeout"})
"""Failures that say that the server has too much to do."""
_DEAF_AFTER = 20
"""Failed calls in a row, with no answer between them, after which a request that is given up ends the run."""
_UNKNOWN = Spellings((), ())


class OpenAITeacher:
    """A model behind a server.

    Failures that may pass are tried again, `attempts` times in all; then the request is refused. What ends the run: a
    server that cannot be reached (MissingDependency); one that by the time that a request is given up has answered
    nothing but errors to the last 20 calls of all requests, or has never answered and has no other call to answer
    (the same); and one that takes neither key nor model (UsageError).
    """

    def __init__(
        self,
        model: str,
        url: str,
        *,
        revision: str | None = None,
        prompts: Prompts | None = None,
        concurrency: int = 64,
        timeout_s: float = 300.0,
        attempts: int = 6,
        backoff_s: float = 0.5,
    ) -> None:
        self._model = model
        self._revision = revision
        self._prompts = prompts or Prompts()
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._endpoint = Endpoint(url, concurrency=concurrency, timeout_s=timeout_s)
        self._exact: Spellings | None = None
        self._asking = asyncio.Lock()
        self._failures = 0
        self._heard = False
        self._described: dict[tuple[Task, Sampling], TeacherRef] = {}

    def describe(self, task: Task, sampling: Sampling) -> TeacherRef:
        if (task, sampling) not in self._described:
            self._described[task, sampling] = TeacherRef(
                backend="openai",
                model=self._model,
                revision=self._revision,
                endpoint=self._endpoint.url,
                prompt_digest=self._prompts.digest(task),
                sampling=sampling,
            )
        return self._described[task, sampling]

    def prepare(self, requests: Sequence[Request]) -> list[Question]:
        """The key covers model, server, rendered prompt, frames and their times, sampling and schema."""
        return prepare_questions(requests, self.describe, self._prompts, VERSION)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answers without a cache and without a budget."""
        return await self.ask(self.prepare(requests), Unmetered())

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        """Sends all questions at once. Where one of them ends the run, the others are still waited for and kept."""
        shown: list[Shown] = []
        media: list[bytes] = []
        try:
            for question in questions:
                if question.request.shown not in shown:
                    shown.append(question.request.shown)
                    media.append(await _encoded(question.request.pictures))
        except OSError as error:
            raise ItemError("frames", f"a stored frame cannot be read: {error}") from error
        calls = [
            _Call(position, question, media[shown.index(question.request.shown)], meter)
            for position, question in enumerate(questions)
        ]
        return await self._endpoint.pace.run([partial(self._one, call) for call in calls])

    async def ping(self) -> str:
        """Asks the server for its models, without trying again."""
        try:
            known = [model.id for model in Models.read(await self._endpoint.get("/models")).data]
        except RequestFailed as error:
            raise MissingDependency(f"{error}: start the server or mend the address") from error
        except (RequestRejected, Unreadable):
            return f"{self._endpoint.url} answers, but does not say whether it has {self._model}"
        if known and self._model not in known:
            listed = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
            raise UsageError(f"{self._endpoint.url} has no model {self._model!r}; it has: {listed}")
        return f"{self._model} at {self._endpoint.url}"

    async def close(self) -> None:
        """Closes all connections."""
        await self._endpoint.close()

    async def _one(self, call: _Call, turn: Slot) -> Outcome:
        try:
            if call.question.request.reply is None:
                call.exact = await self._spellings()
            outcome = await self._send(call, turn)
            if isinstance(outcome, InvalidReply):
                call.further = outcome.repair()
                outcome = await self._send(call, turn)
        except RequestRejected as error:
            if call.exact and "logprob" in error.raw:  # it knows the tokens, and not this way of asking for them
                self._exact = _UNKNOWN
                return await self._one(call, turn)
            if call.question.request.reply is None and "logprob" in error.raw:
                detail = "the server gives no log-probabilities for this model, which a judge needs (vLLM does)"
                return Refusal("no_logprobs", detail, error.raw)
            return Refusal(f"http_{error.status}", f"the server refuses the request ({error.status})", error.raw)
        except NoConnection as error:
            raise MissingDependency(f"{error}: start the server or mend the address, then start again") from error
        except RequestFailed as error:
            if self._failures >= _DEAF_AFTER or (not self._heard and self._endpoint.pace.idle):
                raise MissingDependency(
                    f"{self._endpoint.url} answered none of the last {self._failures} calls, the last one so: {error}: "
                    "mend the server, then start again to go on"
                ) from error
            return Refusal(error.reason, f"{error} (after {self._attempts} attempts)", error.raw)
        return outcome.refusal() if isinstance(outcome, InvalidReply) else outcome

    async def _send(self, call: _Call, turn: Slot) -> Outcome | InvalidReply:
        """One question, tried again as long as its failures may pass."""
        return await with_retries(partial(self._attempt, call, turn), attempts=self._attempts, base_s=self._backoff_s)

    async def _attempt(self, call: _Call, turn: Slot) -> Outcome | InvalidReply:
        """Its bytes are made when its turn comes: those of all that wait would fill the memory. A reply is kept before
        the next call is sent in its place: so no more than what may be in flight is lost with the process."""
        await turn.take()
        try:
            await call.meter.sending()
            data = await self._endpoint.post("/chat/completions", call.body(self._model))
            turn.answered(call.question.request.task)
            outcome = call.take(data)
            if isinstance(outcome, Reply):
                await call.meter.keep(call.position, outcome)
        except RequestFailed as error:
            self._failures += 1
            if isinstance(error, NoConnection):
                call.meter.unsent()
            elif error.reason in _BUSY:
                turn.busy(error.retry_after_s)
            turn.give_back()
            raise
        self._failures, self._heard = 0, True
        return outcome

    async def _spellings(self) -> Spellings | None:
        """The tokens that a judge is asked for, where the server tells them; asked for once."""
        if self._exact is None:
            async with self._asking:
                if self._exact is None:
                    self._exact = await self._ask_spellings()
        return self._exact if self._exact.ids else None

    async def _ask_spellings(self) -> Spellings:
        """Asks vLLM's `/tokenize` for every spelling."""
        found: dict[int, bytes] = {}
        for spelling in SPELLINGS:
            body = to_json({"model": self._model, "prompt": spelling, "add_special_tokens": False})
            try:
                tokens = Tokenized.read(await self._endpoint.post("/tokenize", body, root=True)).tokens
            except NoConnection:
                raise
            except (UsageError, RequestRejected, RequestFailed, Unreadable):
                return _UNKNOWN
            if len(tokens) == 1:
                found[tokens[0]] = spelling.encode()
        return Spellings.from_tokens(found)


@dataclass(slots=True)
class _Call:
    """A question on its way: what goes out for it, and what came back so far."""

    position: int
    question: Question
    media: bytes
    meter: Meter
    exact: Spellings | None = None
    further: tuple[tuple[str, str], ...] = ()
    tokens: Tokens | None = None

    def body(self, model: str) -> bytes:
        request = self.question.request
        asked = ChatRequest(model, request.task, request.sampling, request.reply, self.exact)
        return chat(asked, self.question.prompt, self.media, self.further)

    def take(self, data: bytes) -> Outcome | InvalidReply:
        """Reads an answer. Raises Failed where it is none."""
        try:
            completion = Completion.read(data)
            tokens = completion.tokens()
            self.tokens = tokens if self.tokens is None else _sum(self.tokens, tokens)
            outcome = self._read(completion, self.tokens)
        except Unreadable as error:
            raw = data.decode("utf-8", "replace")
            raise RequestFailed("bad_response", f"not a chat completion: {error}", raw=raw) from error
        self.meter.received(tokens)
        return outcome

    def _read(self, completion: Completion, tokens: Tokens) -> Outcome | InvalidReply:
        request, teacher, text = self.question.request, self.question.teacher, completion.text
        if request.reply is None and self.exact and not request.sampling.reasoning:
            answer = first_token_answer([completion.score(0, self.exact)] if completion.content else [])
            if answer is None:
                return Refusal("invalid_reply", "the server shows neither yes nor no", text)
            return Reply(closed_reply(answer), teacher, answer=answer, tokens=tokens)
        if refusal := completion.refusal():
            return refusal
        if request.reply is None:
            place = find_answer(text, [token.data for token in completion.content])
            if place is None:
                return Refusal("invalid_reply", "the reply does not end in an answer of yes or no", text)
            answer = Answer(place.verdict)
            if place.token is not None:
                answer = scored_answer(place.verdict, completion.score(place.token, self.exact))
            return Reply(text, teacher, answer=answer, reasoning=completion.reasoning(), tokens=tokens)
        parsed, problem = parse_reply(request.reply, text)
        if parsed is None:
            return InvalidReply(text, problem)
        return Reply(text, teacher, parsed=parsed, tokens=tokens)


async def _encoded(pictures: Sequence[tuple[str, Frame]]) -> bytes:
    """As `media_parts`, beside the event loop."""
    return await asyncio.to_thread(media_parts, pictures) if pictures else b""


def _sum(a: Tokens, b: Tokens) -> Tokens:
    return Tokens(prompt=a.prompt + b.prompt, completion=a.completion + b.completion, cached=a.cached + b.cached)
