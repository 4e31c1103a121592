"""What a server of chat completions answers, as far as it is read.

Read with msgspec, not with the models of pydantic that records are made of: a reply of a thousand tokens with their
alternatives is 1.3 MB, of which one token's are looked at. msgspec passes over the others, in a sixth of the time.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, TypeVar

from msgspec import DecodeError, Meta, Raw, Struct, field
from msgspec.json import Decoder

from hardcut.schemas.records import Tokens
from hardcut.teacher.confidence import TokenScore, close_answer, reasoning_of
from hardcut.teacher.protocol import Refusal
from hardcut.teacher.spellings import Spellings

T = TypeVar("T")

_MOST_TOKENS = 10**8
"""More than any model takes in one call: a larger count is no count."""
_Count = Annotated[int, Meta(ge=0, le=_MOST_TOKENS)]


class Unreadable(ValueError):
    """What a server sent is not what it should be, and where."""


class Unusable(Unreadable):
    """A reply of the model that cannot be read, or whose counts of tokens cannot be: paid for, and not asked again."""


class Tokenized(Struct):
    """What vLLM's `/tokenize` answers."""

    tokens: list[int]

    @staticmethod
    def read(data: bytes) -> Tokenized:
        """Raises Unreadable."""
        return _read(_TOKENIZED, data)


class _Model(Struct):
    """`lifecycle_status` is Azure's: its list is of what may be deployed, and says nothing of what is."""

    id: str
    lifecycle_status: str | None = None


class Models(Struct):
    """What a server answers that is asked for its models."""

    data: list[_Model]

    def has(self, name: str) -> bool:
        """Whether a model of that name may be asked. Gemini lists `gemini-x` as `models/gemini-x`, and Ollama `llama`
        as `llama:latest`."""
        names = {each for model in self.data for each in (model.id, model.id.removeprefix("models/"))}
        return not names.isdisjoint((name, f"{name}:latest")) or any(each.lifecycle_status for each in self.data)

    @staticmethod
    def read(data: bytes) -> Models:
        """Raises Unreadable."""
        return _read(_MODELS, data)


class _Top(Struct):
    """`logprob` is null for minus infinity on servers whose JSON has no other word for it."""

    token: str
    logprob: float | None
    raw: list[Annotated[int, Meta(ge=0, le=255)]] | None = field(default=None, name="bytes")

    @property
    def data(self) -> bytes:
        """The token's bytes: a token can be a part of a character, which its text cannot show."""
        return bytes(self.raw) if self.raw is not None else self.token.encode("utf-8", "surrogatepass")


class _Token(_Top):
    """`top_logprobs` is looked into for one token of a reply only, and is by far the most of it."""

    top_logprobs: Raw = Raw(b"null")


class _Logprobs(Struct):
    content: list[_Token] | None = None


class _Message(Struct):
    """A model's thoughts, where they are apart from its text, are `reasoning` with vLLM today and OpenRouter,
    `reasoning_content` with SGLang, DeepSeek and older vLLM."""

    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None

    @property
    def thoughts(self) -> str | None:
        return self.reasoning or self.reasoning_content


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Details(Struct):
    cached_tokens: _Count | None = None


class _Thinking(Struct):
    reasoning_tokens: _Count | None = None


class _Usage(Struct):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Thinking | None = None


class Completion(Struct):
    """The parts of a chat completion that are read."""

    choices: Annotated[list[_Choice], Meta(min_length=1)]
    usage: Raw = Raw(b"null")

    @staticmethod
    def read(data: bytes) -> Completion:
        """Raises Unusable for a reply of a model, Unreadable for anything else (a page of a proxy, half a reply)."""
        try:
            return _read(_COMPLETION, data)
        except Unreadable as error:
            if _is_reply(data):
                raise Unusable(str(error)) from error
            raise

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""

    @property
    def written(self) -> str:
        """All that the model wrote, its thoughts too."""
        return (self.choices[0].message.thoughts or "") + self.text

    @property
    def generated(self) -> list[_Token]:
        """The generated tokens; none where the server did not give them."""
        logprobs = self.choices[0].logprobs
        return (logprobs.content if logprobs else None) or []

    def tokens(self) -> Tokens | None:
        """What was taken; None where the server does not say. Raises Unusable."""
        usage = _tokens(self.usage)
        return None if usage and self.text and not usage.completion else usage

    @property
    def thoughts(self) -> str | None:
        """A model's thoughts, where they are apart from its text."""
        return self.choices[0].message.thoughts

    @property
    def thoughts_field(self) -> str:
        """The name of the field of its thoughts, `unseen` where they are only counted; empty where there are none."""
        message = self.choices[0].message
        if message.thoughts:
            return "reasoning" if message.reasoning else "reasoning_content"
        told = _read(_USAGE, self.usage)
        counted = told.completion_tokens_details if told else None
        return "unseen" if counted and counted.reasoning_tokens else ""

    @property
    def cut(self) -> bool:
        """Whether the reply ended at its limit of tokens."""
        return self.choices[0].finish_reason == "length"

    def answered(self) -> str:
        """A judge's text. A server that stops at `</answer>` leaves it out, as most do: it is put back."""
        return close_answer(self.text) if self.choices[0].finish_reason == "stop" else self.text

    def truncated(self) -> Refusal:
        """What a reply is that was cut off, and of which nothing is whole."""
        return Refusal("truncated", "the reply was cut off: raise teacher.sampling.max_tokens", self.text)

    def declined(self) -> Refusal | None:
        """Why the text is not to be read, if so."""
        choice = self.choices[0]
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            return Refusal(
                "declined", "the model or its server declined to answer", choice.message.refusal or self.text
            )
        return None

    def reasoning(self) -> str:
        """What came before the answer; some servers hand over a model's thoughts apart from its text."""
        thoughts, before = self.choices[0].message.thoughts, reasoning_of(self.text)
        return "\n".join(filter(None, (thoughts, before)))

    def scores_words(self, at: int) -> bool:
        """Whether the server gives alternatives with their log-probabilities for the token at this place."""
        return bool(_read(_TOPS, self.generated[at].top_logprobs))

    def scores_all(self, at: int, exact: Spellings) -> bool:
        """Whether all tokens that were asked for by id are among the alternatives at this place."""
        return {top.data for top in _read(_TOPS, self.generated[at].top_logprobs) or ()} >= set(exact.texts)

    def score(self, at: int, exact: Spellings | None) -> TokenScore:
        """The token at this place with its alternatives. Where the server was asked for certain tokens, they tell
        nothing of a place at which none of them was drawn, unless it is the only one. Raises Unreadable."""
        token, data = self.generated[at], self.generated[at].data
        meant = exact is None or len(self.generated) == 1 or data in exact.texts
        tops = _read(_TOPS, token.top_logprobs) if meant else None
        listed = tuple((top.data, _number(top.logprob)) for top in tops or ())
        return TokenScore(data, _number(token.logprob), listed, exact.texts if exact and exact.ids else None)


class _Bill(Struct):
    """What is looked at of an answer that is no completion."""

    usage: Raw = Raw(b"null")


def billed(data: bytes) -> Tokens | None:
    """What an answer took that could not be read otherwise, where it says so."""
    try:
        return _tokens(_read(_BILL, data).usage)
    except Unreadable:
        return None


def _is_reply(data: bytes) -> bool:
    """Whether it has the form of a completion, however much of it is wrong."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and bool(body.get("choices"))


def _tokens(usage: Raw) -> Tokens | None:
    """None where prompt and reply are not both counted: a prompt of no tokens is none."""
    try:
        counts = _read(_USAGE, usage)
    except Unreadable as error:
        raise Unusable(f"its usage is no count of tokens: {error}") from error
    if counts is None or not counts.prompt_tokens or counts.completion_tokens is None:
        return None
    details = counts.prompt_tokens_details
    cached = (details.cached_tokens if details else None) or 0
    return Tokens(prompt=counts.prompt_tokens, completion=counts.completion_tokens, cached=cached)


def _number(logprob: float | None) -> float:
    return -math.inf if logprob is None else logprob


def _read(decoder: Decoder[T], data: bytes | Raw) -> T:
    try:
        return decoder.decode(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error


_TOKENIZED, _MODELS, _COMPLETION = Decoder(Tokenized), Decoder(Models), Decoder(Completion)
_BILL, _USAGE = Decoder(_Bill), Decoder(_Usage | None)
_TOPS: Decoder[list[_Top] | None] = Decoder(list[_Top] | None)
