"""What a server of chat completions answers, as far as it is read."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, Field

from hardcut.schemas.records import Tokens
from hardcut.teacher.confidence import TokenScore, reasoning_of
from hardcut.teacher.protocol import Refusal
from hardcut.teacher.spellings import Spellings


class Tokenized(BaseModel):
    """What vLLM's `/tokenize` answers."""

    tokens: list[int]


class _Model(BaseModel):
    id: str


class Models(BaseModel):
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


class Completion(BaseModel):
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
