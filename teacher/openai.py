"""`openai:MODEL@URL`: any server that speaks chat completions, vLLM first.

A request is a system text and one message: the frames, each after its time, then the text. System text and frames are
the same bytes for all requests of one video, which go out together, so that the server can keep their common prefix.
Structured replies are asked for by a JSON Schema and checked; one that does not fit is asked for once more, with the
error. A judge's answer is read with both words' log-probabilities where the server gives those of tokens that it is
asked for (vLLM: `logprob_token_ids`), else with the 20 most likely tokens at its position.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated

from pydantic import BaseModel, Field, JsonValue, ValidationError

from hardcut.engine.retry import with_retries
from hardcut.media.frames import Frame
from hardcut.schemas.errors import ItemError, MissingDependency, UsageError
from hardcut.schemas.records import Sampling, TeacherRef, Tokens
from hardcut.teacher.backend import Meter, Question, Unmetered
from hardcut.teacher.confidence import TokenScore, first_token_answer, read_answer, reasoning_of
from hardcut.teacher.http import Endpoint, Failed, Rejected, Unreachable
from hardcut.teacher.protocol import Outcome, Refusal, Reply, Request, Task
from hardcut.teacher.question import PREFILL, closed, parse, prepare, reply_schema, told
from hardcut.teacher.render import Prompts, Rendered
from hardcut.teacher.spellings import SPELLINGS, Spellings

VERSION = 2
"""Counted up when the form of a request or the reading of a reply changes: part of every key."""

_BUSY = frozenset({"http_429", "http_503", "timeout"})
"""Failures that say that the server has too much to do."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_UNKNOWN = Spellings((), ())
_LOGPROBS: dict[str, JsonValue] = {"logprobs": True, "top_logprobs": 20}
"""What a judge is asked for beside its text: the most that the API allows."""


class OpenAITeacher:
    """A model behind a server.

    Failures that may pass are tried again, `attempts` times in all; then the request is refused. A server that cannot
    be reached at all raises MissingDependency, one that takes neither key nor model UsageError: both end the run.
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

    def prepare(self, request: Request) -> Question:
        """The key covers model, server, rendered prompt, frames and their times, sampling and schema."""
        return prepare(request, self.describe(request.task, request.sampling), self._prompts, VERSION)

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answers without a cache and without a budget."""
        return await self.ask([self.prepare(request) for request in requests], Unmetered())

    async def ask(self, questions: Sequence[Question], meter: Meter) -> list[Outcome]:
        """Sends all questions at once. Where one of them ends the run, the others are still waited for and kept."""
        try:
            media = {frames: await _media(frames) for frames in {question.request.frames for question in questions}}
        except OSError as error:
            raise ItemError("frames", f"a stored frame cannot be read: {error}") from error
        outcomes = await asyncio.gather(
            *(self._one(at, each, media[each.request.frames], meter) for at, each in enumerate(questions)),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]

    async def ping(self) -> str:
        """Asks the server for its models, without trying again."""
        try:
            data = await self._endpoint.get("/models")
            known = [model.id for model in _Models.model_validate_json(data).data]
        except Failed as error:
            raise MissingDependency(f"{error}: start the server or mend the address") from error
        except (Rejected, ValidationError):
            return f"{self._endpoint.url} answers, but does not say whether it has {self._model}"
        if known and self._model not in known:
            listed = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
            raise UsageError(f"{self._endpoint.url} has no model {self._model!r}; it has: {listed}")
        return f"{self._model} at {self._endpoint.url}"

    async def close(self) -> None:
        """Closes all connections."""
        await self._endpoint.close()

    async def _one(self, position: int, question: Question, media: bytes, meter: Meter) -> Outcome:
        request = question.request
        exact: Spellings | None = None
        taken = Tokens()

        async def take(completion: _Completion) -> Outcome | _Invalid:
            """Reads an answer and keeps it, before the next call is sent in its place: so no more than what may be in
            flight is lost with the process."""
            nonlocal taken
            taken = _sum(taken, completion.tokens) if taken.prompt else completion.tokens
            outcome = self._read(request, completion, taken, exact)
            if isinstance(outcome, Reply):
                await meter.keep(position, outcome)
            return outcome

        try:
            exact = await self._spellings() if request.reply is None else None
            body = _Body(request, self._model, question.prompt, media, exact)
            outcome = await self._call(request.task, body.first, take, meter)
            if isinstance(outcome, _Invalid):
                first = outcome
                repair = partial(body.repair, first.text, first.problem)
                outcome = await self._call(request.task, repair, take, meter)
        except Rejected as error:
            if exact and "logprob" in error.raw:  # it knows the tokens, and not this way of asking for them
                self._exact = _UNKNOWN
                return await self._one(position, question, media, meter)
            if request.reply is None and "logprob" in error.raw:
                detail = "the server gives no log-probabilities for this model, which a judge needs (vLLM does)"
                return Refusal("no_logprobs", detail, error.raw)
            return Refusal(f"http_{error.status}", f"the server refuses the request ({error.status})", error.raw)
        except Unreachable as error:
            raise MissingDependency(f"{error}: start the server or mend the address, then start again") from error
        except Failed as error:
            return Refusal(error.reason, f"{error} (after {self._attempts} attempts)", error.raw)
        if isinstance(outcome, _Invalid):
            detail = f"does not fit the schema, nor did its repair: {outcome.problem}"
            return Refusal("invalid_reply", detail, outcome.text)
        return outcome

    def _read(
        self, request: Request, completion: _Completion, tokens: Tokens, exact: Spellings | None
    ) -> Outcome | _Invalid:
        teacher = self.describe(request.task, request.sampling)
        text = completion.text
        if request.reply is None and exact and not request.sampling.reasoning:
            answer = first_token_answer(completion.scores(exact))
            if answer is None:
                return Refusal("invalid_reply", "the server shows neither yes nor no", text)
            return Reply(closed(answer), teacher, answer=answer, tokens=tokens)
        if refusal := completion.refusal():
            return refusal
        if request.reply is None:
            answer = read_answer(text, completion.scores(exact))
            if answer is None:
                return Refusal("invalid_reply", "the reply does not end in an answer of yes or no", text)
            return Reply(text, teacher, answer=answer, reasoning=completion.reasoning(), tokens=tokens)
        parsed, problem = parse(request.reply, text)
        if parsed is None:
            return _Invalid(text, problem)
        return Reply(text, teacher, parsed=parsed, tokens=tokens)

    async def _call(
        self,
        kind: str,
        body: Callable[[], bytes],
        take: Callable[[_Completion], Awaitable[Outcome | _Invalid]],
        meter: Meter,
    ) -> Outcome | _Invalid:
        """One question, tried again as long as its failures may pass. Its bytes are made when its turn comes: those of
        all that wait would fill the memory."""

        async def attempt() -> Outcome | _Invalid:
            async with self._endpoint.pace.slot() as slot:
                await meter.sending()
                try:
                    data = await self._endpoint.post("/chat/completions", body())
                except Unreachable:
                    await meter.unsent()
                    raise
                except Failed as error:
                    if error.reason in _BUSY:
                        slot.busy(error.retry_after_s)
                    raise
                slot.answered(kind)
                try:
                    completion = _Completion.model_validate_json(data)
                except ValidationError as error:
                    raw = data.decode("utf-8", "replace")
                    raise Failed("bad_response", f"not a chat completion: {told(error)}", raw=raw) from error
                outcome = await take(completion)
            await meter.received(completion.tokens)
            return outcome

        return await with_retries(attempt, attempts=self._attempts, base_s=self._backoff_s)

    async def _spellings(self) -> Spellings | None:
        """The tokens that a judge is asked for, where the server tells them; asked for once."""
        async with self._asking:
            if self._exact is None:
                self._exact = await self._ask_spellings()
        return self._exact if self._exact.ids else None

    async def _ask_spellings(self) -> Spellings:
        """Asks vLLM's `/tokenize` for every spelling."""
        found: dict[int, bytes] = {}
        for spelling in SPELLINGS:
            body = _json({"model": self._model, "prompt": spelling, "add_special_tokens": False})
            try:
                tokens = _Tokenized.model_validate_json(await self._endpoint.post("/tokenize", body, root=True)).tokens
            except Unreachable:
                raise
            except (UsageError, Rejected, Failed, ValidationError):
                return _UNKNOWN
            if len(tokens) == 1:
                found[tokens[0]] = spelling.encode()
        return Spellings.of(found)


@dataclass(frozen=True, slots=True)
class _Invalid:
    """A reply that does not fit its schema, and why."""

    text: str
    problem: str


@dataclass(frozen=True, slots=True)
class _Body:
    """The bytes of a request. The media, by far the largest part, are encoded once for all requests of a video."""

    request: Request
    model: str
    prompt: Rendered
    media: bytes
    exact: Spellings | None

    def first(self) -> bytes:
        return self._with([{"role": "assistant", "content": PREFILL}] if self._prefilled else [])

    def repair(self, invalid: str, problem: str) -> bytes:
        ask = f"Your reply does not fit: {problem}\nReply again with the corrected JSON object and nothing else."
        return self._with([{"role": "assistant", "content": invalid}, {"role": "user", "content": ask}])

    def _with(self, further: list[dict[str, str]]) -> bytes:
        parts = [b'{"messages":[', _json({"role": "system", "content": self.prompt.system})]
        parts += [b',{"role":"user","content":[', self.media, _json({"type": "text", "text": self.prompt.user}), b"]}"]
        for message in further:
            parts += [b",", _json(message)]
        parts += [b"],", _json(self._options())[1:]]
        return b"".join(parts)

    @property
    def _prefilled(self) -> bool:
        """Whether the answer is read off one forward pass: the prompt ends where yes or no would follow."""
        return self.exact is not None and not self.request.sampling.reasoning

    def _options(self) -> dict[str, JsonValue]:
        sampling = self.request.sampling
        options: dict[str, JsonValue] = {
            "model": self.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": 1 if self._prefilled else sampling.max_tokens,
            "seed": sampling.seed,
        }
        if self.request.reply is None:
            options |= _LOGPROBS
            if self.exact:
                options["logprob_token_ids"] = list(self.exact.ids)
            if self._prefilled:
                options |= {"add_generation_prompt": False, "continue_final_message": True}
            return options
        schema: dict[str, JsonValue] = {
            "name": self.request.task,
            "strict": True,
            "schema": reply_schema(self.request.reply),
        }
        return options | {"response_format": {"type": "json_schema", "json_schema": schema}}


class _Tokenized(BaseModel):
    """What vLLM's `/tokenize` answers."""

    tokens: list[int]


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    """What a server answers that is asked for its models."""

    data: list[_Model]


class _Top(BaseModel):
    token: str
    logprob: float
    raw: list[Annotated[int, Field(ge=0, le=255)]] | None = Field(default=None, alias="bytes")

    @property
    def data(self) -> bytes:
        """The token's bytes: a token can be a part of a character, which its text cannot show."""
        return bytes(self.raw) if self.raw is not None else self.token.encode("utf-8", "surrogatepass")


class _Token(_Top):
    top_logprobs: list[_Top] = []


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Details(BaseModel):
    cached_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    prompt_tokens_details: _Details | None = None


class _Completion(BaseModel):
    """The parts of a chat completion that are read."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""

    @cached_property
    def tokens(self) -> Tokens:
        if self.usage is None:
            return Tokens()
        details = self.usage.prompt_tokens_details
        cached = details.cached_tokens if details else None
        return Tokens(
            prompt=self.usage.prompt_tokens, completion=self.usage.completion_tokens, cached=max(0, cached or 0)
        )

    def refusal(self) -> Refusal | None:
        """Why the text is not to be read, if so."""
        choice = self.choices[0]
        if choice.finish_reason == "length":
            return Refusal("truncated", "the reply was cut off: raise teacher.sampling.max_tokens", self.text)
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            return Refusal(
                "declined", "the model or its server declined to answer", choice.message.refusal or self.text
            )
        return None

    def reasoning(self) -> str:
        """What came before the answer; some servers hand over a model's thoughts apart from its text."""
        thoughts = self.choices[0].message.reasoning_content
        return "\n".join(part for part in (thoughts, reasoning_of(self.text)) if part)

    def scores(self, exact: Spellings | None) -> list[TokenScore]:
        """The generated tokens with their alternatives; none where the server did not give them. Where it was asked
        for certain tokens, they tell nothing of a place at which none of them was drawn."""
        logprobs = self.choices[0].logprobs
        content = (logprobs.content if logprobs else None) or []
        first = exact is not None and len(content) == 1
        return [
            TokenScore(token.data, token.logprob, tuple((top.data, top.logprob) for top in token.top_logprobs))
            if exact is None or first or token.data in exact.texts
            else TokenScore(token.data, token.logprob)
            for token in content
        ]


async def _media(frames: Sequence[Frame]) -> bytes:
    """The JSON parts of the frames, each after its time, with a comma at the end. Raises OSError."""

    def encode() -> bytes:
        parts = bytearray()
        for frame in frames:
            parts += _json({"type": "text", "text": f"<{frame.time_s:.1f} s>"})
            parts += b',{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,'
            parts += base64.b64encode(frame.path.read_bytes()) + b'"}},'
        return bytes(parts)

    return await asyncio.to_thread(encode) if frames else b""


def _json(value: object) -> bytes:
    return _ENCODER.encode(value).encode("utf-8", "surrogatepass")


def _sum(a: Tokens, b: Tokens) -> Tokens:
    return Tokens(prompt=a.prompt + b.prompt, completion=a.completion + b.completion, cached=a.cached + b.cached)
