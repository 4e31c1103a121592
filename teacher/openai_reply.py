"""What a server of chat completions answers, as far as it is read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from hardcut.schemas.records import Tokens
from hardcut.teacher.confidence import TokenScore, reasoning_of
from hardcut.teacher.protocol import Refusal
from hardcut.teacher.question import told
from hardcut.teacher.spellings import Spellings


class Unreadable(ValueError):
    """What a server sent is no chat completion."""


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
    """`top_logprobs` is looked into for one token of a reply only, and is by far the most of it."""

    top_logprobs: Any = None


_TOPS = TypeAdapter(list[_Top])


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

    @classmethod
    def read(cls, data: bytes) -> Completion:
        """Raises Unreadable. In two steps, since a reply of a thousand tokens with their alternatives holds 20,000
        objects that are never looked at: made into models, they take six times as long (64 ms)."""
        try:
            return cls.model_validate(from_json(data))
        except ValidationError as error:
            raise Unreadable(told(error)) from error
        except ValueError as error:
            raise Unreadable(str(error)) from error

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""

    @property
    def content(self) -> list[_Token]:
        """The generated tokens; none where the server did not give them."""
        logprobs = self.choices[0].logprobs
        return (logprobs.content if logprobs else None) or []

    def tokens(self) -> Tokens:
        """What was taken."""
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
        thoughts, before = self.choices[0].message.reasoning_content, reasoning_of(self.text)
        return "\n".join(filter(None, (thoughts, before)))

    def score(self, at: int, exact: Spellings | None) -> TokenScore:
        """The token at this place with its alternatives. Where the server was asked for certain tokens, they tell
        nothing of a place at which none of them was drawn, unless it is the only one. Raises Unreadable."""
        token, data = self.content[at], self.content[at].data
        meant = exact is None or len(self.content) == 1 or data in exact.texts
        try:
            tops = _TOPS.validate_python(token.top_logprobs or []) if meant else []
        except ValidationError as error:
            raise Unreadable(told(error)) from error
        return TokenScore(data, token.logprob, tuple((top.data, top.logprob) for top in tops))
