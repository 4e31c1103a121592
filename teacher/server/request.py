"""The bytes that are sent to a server of chat completions.

What the requests of one video share, its media by far the most of it, is encoded once and spliced into each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, JsonValue

from hardcut.media.frames import Frame
from hardcut.schemas.records import Sampling
from hardcut.teacher.prompts.bounds import Bounds, bounded_schema, most_tokens
from hardcut.teacher.prompts.question import PREFILL, STOP
from hardcut.teacher.prompts.render import Rendered
from hardcut.teacher.protocol import Task
from hardcut.teacher.server.dialect import FIRST_GUESS, Dialect
from hardcut.teacher.spellings import Spellings

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NEUTRAL: dict[str, JsonValue] = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0}
"""So that a server takes no defaults out of the model's `generation_config.json` (vLLM and SGLang do): a judge's answer
and its log-probabilities are to be the model's own."""
_FORCED_TOKENS = 16
"""Of an answer that a judge is told to give now."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """How a question is asked, whatever it says: the same for many. `reply` and `bounds` say what a structured reply
    must fit; `exact` are the tokens whose log-probabilities a judge is asked for, where the server tells them.
    `forced`: a judge has reasoned, and is to answer now. `room`: tokens for a model's thoughts beside its reply.
    `extra`: further fields, as JSON."""

    model: str
    task: Task
    sampling: Sampling
    reply: type[BaseModel] | None
    exact: Spellings | None
    dialect: Dialect = FIRST_GUESS
    bounds: Bounds | None = None
    forced: bool = False
    room: int = 0
    extra: str | None = None

    @property
    def prefilled(self) -> bool:
        """Whether the answer is read off one forward pass: the prompt ends where yes or no would follow."""
        return self.exact is not None and (self.forced or not self.sampling.reasoning)

    @property
    def limit(self) -> int:
        """Tokens that the reply may have. A judge's are for its reasoning."""
        if self.prefilled:
            return 1
        if self.forced:
            return _FORCED_TOKENS + self.room
        if self.reply is None or self.bounds is None:
            return self.sampling.max_tokens
        return min(self.sampling.max_tokens, most_tokens(self.reply, self.bounds)) + self.room


def chat(request: ChatRequest, prompt: Rendered, media: bytes, further: Iterable[tuple[str, str]] = ()) -> bytes:
    """A request: system text, one message of the media (see `media_parts`) and the text, then `further` messages as
    (role, text). Where a judge is prefilled, the last of them is what it begins with."""
    user = prompt.user
    if request.dialect.system:
        parts = [_system(prompt.system)]
    else:
        parts, user = [b'{"messages":['], f"{prompt.system}\n\n{user}"
    if request.dialect.parts or media:
        parts += [b'{"role":"user","content":[', media, b'{"type":"text","text":', to_json(user), b"}]}"]
    else:
        parts.append(to_json({"role": "user", "content": user}))
    messages = list(further)
    if request.prefilled:
        said = messages.pop()[1] if request.forced else ""
        messages.append(("assistant", said + PREFILL))
    for role, text in messages:
        parts += [b",", to_json({"role": role, "content": text})]
    parts.append(_options(request))
    return b"".join(parts)


def media_parts(pictures: Sequence[tuple[str, Frame]], *, named: bool = False) -> bytes:
    """The JSON parts of a request's `pictures`, each after its text, with a comma at the end. `named`: each with its
    digest, under which the server keeps it. Raises DamagedInput."""
    parts: list[bytes] = []
    for label, frame in pictures:
        parts.append(picture_part(label, base64.b64encode(frame.read()), frame.sha256 if named else ""))
    return b"".join(parts)


def named_parts(pictures: Sequence[tuple[str, Frame]]) -> bytes:
    """The same of pictures that the server has kept: their names alone."""
    return b"".join(named_part(label, frame.sha256) for label, frame in pictures)


def picture_part(label: str, encoded: bytes, name: str = "") -> bytes:
    """The JSON parts of one picture, JPEG in base64, after its text, with a comma at the end."""
    begins = b',{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,'
    ends = b'"},"uuid":' + to_json(name) + b"}," if name else b'"}},'
    return b"".join((to_json({"type": "text", "text": label}), begins, encoded, ends))


def named_part(label: str, name: str) -> bytes:
    """The JSON parts of one picture that the server has kept under a name."""
    text = to_json({"type": "text", "text": label})
    return text + b',{"type":"image_url","image_url":null,"uuid":' + to_json(name) + b"},"


def to_json(value: object) -> bytes:
    """Compact JSON, also of text that is no whole Unicode."""
    return _ENCODER.encode(value).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=64)
def _system(text: str) -> bytes:
    """Up to where the user's message begins."""
    return b'{"messages":[' + to_json({"role": "system", "content": text}) + b","


@lru_cache(maxsize=256)
def _options(request: ChatRequest) -> bytes:
    """From the end of the messages on."""
    sampling, dialect = request.sampling, request.dialect
    options: dict[str, JsonValue] = {"model": request.model}
    if dialect.temperature:
        options |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
    options[dialect.limit] = request.limit
    if dialect.seed:
        options["seed"] = sampling.seed
    if dialect.stream:
        options |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.reply is None:
        options |= _judging(request)
    elif dialect.form in ("schema", "loose"):
        bounded = bounded_schema(request.reply, request.bounds) if request.bounds else request.reply.model_json_schema()
        schema: dict[str, JsonValue] = {"name": request.task, "strict": dialect.form == "schema", "schema": bounded}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif dialect.form == "object":
        options["response_format"] = {"type": "json_object"}
    if request.extra:
        options |= json.loads(request.extra)
    return b"]," + to_json(options)[1:]


def _judging(request: ChatRequest) -> dict[str, JsonValue]:
    """What a judge is asked for beside its text."""
    dialect = request.dialect
    options: dict[str, JsonValue] = {}
    if dialect.logprobs:
        options |= {"logprobs": True, "top_logprobs": dialect.most_top}
    if dialect.neutral:
        options |= _NEUTRAL
    if request.exact:
        options["logprob_token_ids"] = list(request.exact.ids)
    if request.prefilled:
        options |= {"add_generation_prompt": False, "continue_final_message": True}
    elif dialect.stop:
        options["stop"] = [STOP]
        if dialect.closing_stop and request.exact:
            options["include_stop_str_in_output"] = True
    return options
