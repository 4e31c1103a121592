"""The bytes that are sent to a server of chat completions.

What the requests of one video share, its media by far the most of it, is encoded once and spliced into each.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import BaseModel, JsonValue

from hardcut.media.frames import Frame
from hardcut.schemas.records import Sampling
from hardcut.teacher.prompts.question import PREFILL, reply_schema
from hardcut.teacher.prompts.render import Rendered
from hardcut.teacher.protocol import Task
from hardcut.teacher.spellings import Spellings

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LOGPROBS: dict[str, JsonValue] = {"logprobs": True, "top_logprobs": 20}
"""What a judge is asked for beside its text: the most that the API allows."""
_NEUTRAL: dict[str, JsonValue] = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0}
"""So that a server takes no defaults out of the model's `generation_config.json` (vLLM and SGLang do): a judge's answer
and its log-probabilities are to be the model's own."""
UNKNOWN_OPTION = re.compile(
    "|".join(_NEUTRAL) + r"|(unrecogni[sz]ed|unknown|unexpected|unsupported|additional|extra|invalid)\b.{0,40}"
    r"\b(name|field|parameter|argument|key|propert|input|option)|extra_forbidden|not permitted",
    re.IGNORECASE | re.DOTALL,
)
"""What a server says that knows no such option. It has no such defaults either."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """How a question is asked, whatever it says: the same for many. `reply` as in `Request`; `exact` are the tokens
    whose log-probabilities a judge is asked for, where the server tells them. `neutral`: a judge is sent values that
    undo what the server would take out of the model's folder."""

    model: str
    task: Task
    sampling: Sampling
    reply: type[BaseModel] | None
    exact: Spellings | None
    neutral: bool = False

    @property
    def prefilled(self) -> bool:
        """Whether the answer is read off one forward pass: the prompt ends where yes or no would follow."""
        return self.exact is not None and not self.sampling.reasoning


def chat(asked: ChatRequest, prompt: Rendered, media: bytes, further: Iterable[tuple[str, str]] = ()) -> bytes:
    """A request: system text, one message of the media (see `media_parts`) and the text, then `further` messages as
    (role, text)."""
    parts = [_system(prompt.system), media, b'{"type":"text","text":', to_json(prompt.user), b"}]}"]
    for role, text in (*further, *([("assistant", PREFILL)] if asked.prefilled else [])):
        parts += [b",", to_json({"role": role, "content": text})]
    parts.append(_options(asked))
    return b"".join(parts)


def media_parts(pictures: Sequence[tuple[str, Frame]]) -> bytes:
    """The JSON parts of a request's `pictures`, each after its text, with a comma at the end. Raises DamagedInput."""
    parts: list[bytes] = []
    for label, frame in pictures:
        parts += [
            to_json({"type": "text", "text": label}),
            b',{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,',
            base64.b64encode(frame.read()),
            b'"}},',
        ]
    return b"".join(parts)


def to_json(value: object) -> bytes:
    """Compact JSON, also of text that is no whole Unicode."""
    return _ENCODER.encode(value).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=64)
def _system(text: str) -> bytes:
    """Up to where the media begin."""
    return b'{"messages":[' + to_json({"role": "system", "content": text}) + b',{"role":"user","content":['


@lru_cache(maxsize=256)
def _options(asked: ChatRequest) -> bytes:
    """From the end of the messages on."""
    sampling = asked.sampling
    options: dict[str, JsonValue] = {
        "model": asked.model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": 1 if asked.prefilled else sampling.max_tokens,
        "seed": sampling.seed,
    }
    if asked.reply is None:
        options |= _LOGPROBS
        if asked.neutral:
            options |= _NEUTRAL
        if asked.exact:
            options["logprob_token_ids"] = list(asked.exact.ids)
        if asked.prefilled:
            options |= {"add_generation_prompt": False, "continue_final_message": True}
    else:
        schema: dict[str, JsonValue] = {"name": asked.task, "strict": True, "schema": reply_schema(asked.reply)}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    return b"]," + to_json(options)[1:]
