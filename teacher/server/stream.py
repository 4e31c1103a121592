"""A chat completion that comes as a stream of events (SSE), put together into one as other servers send it."""

from __future__ import annotations

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, field
from msgspec.json import Decoder, encode

from hardcut.teacher.server.completion import Unreadable

_NULL = b"null"


class _Delta(Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Tokens(Struct):
    content: list[Raw] | None = None


class _Choice(Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: _Tokens | None = None


class _Chunk(Struct):
    """A chunk without choices may bring the usage, or what a filter of content says."""

    choices: list[_Choice] | None = None
    usage: Raw = Raw(_NULL)
    error: Raw | UnsetType = UNSET


class _Whole(Struct):
    choices: list[dict[str, object]]
    usage: Raw


class _Reply(Struct):
    """What has come of a reply."""

    texts: dict[str, str] = field(default_factory=dict)
    tokens: list[Raw] = field(default_factory=list)
    finish: str | None = None
    usage: Raw = Raw(_NULL)

    def add(self, chunk: _Chunk) -> None:
        """Adds one chunk. Of usage that is told more than once the last is the whole."""
        if bytes(chunk.usage) != _NULL:
            self.usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index:
                continue
            for name in ("content", "refusal", "reasoning", "reasoning_content"):
                if text := getattr(choice.delta, name, None):
                    self.texts[name] = self.texts.get(name, "") + text
            self.tokens += (choice.logprobs and choice.logprobs.content) or ()
            self.finish = choice.finish_reason or self.finish


def assembled(data: bytes) -> bytes:
    """The completion as one JSON object; what is no stream is left as it is.

    Raises Unreadable for a stream that broke off before its reply ended, and for one that ends in an error.
    """
    if data.lstrip()[:1] in (b"{", b""):
        return data
    reply, ended = _Reply(), False
    for line in data.splitlines():
        if not line.startswith(b"data:"):
            continue  # a comment that keeps the connection open, the name of an event, or what parts two events
        told = line.removeprefix(b"data:").strip()
        if told == b"[DONE]":
            ended = True
            break
        try:
            chunk = _CHUNK.decode(told)
        except (DecodeError, UnicodeDecodeError) as error:
            raise Unreadable(f"a chunk of its stream: {error}") from error
        if chunk.error is not UNSET and bytes(chunk.error) != _NULL:
            raise Unreadable(f"its stream ends in an error: {bytes(chunk.error).decode('utf-8', 'replace')[:300]}")
        reply.add(chunk)
    if reply.finish is None and not (ended and reply.texts):
        raise Unreadable("its stream broke off before the reply ended")
    choice: dict[str, object] = {"message": reply.texts, "finish_reason": reply.finish}
    if reply.tokens:
        choice["logprobs"] = {"content": reply.tokens}
    return encode(_Whole([choice], reply.usage))


_CHUNK = Decoder(_Chunk)
