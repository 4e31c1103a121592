"""How a server wants chat completions asked: learned from what it refuses, once, and kept for all further calls.

Servers that speak "the OpenAI API" differ in the name of the token limit, in the options that they know, in whether
they take a JSON Schema, a system text, content in parts, and in how many alternatives they show. Each says so by
refusing the first call, which costs nothing; what it says is read here. What cannot be done without ends the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

Form = Literal["schema", "loose", "object", "text"]
"""How a structured reply is asked for: by its JSON Schema, by one that need not hold (for servers that take a part of
what schemas can say), as any JSON object, or by the prompt alone."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a server takes. The first guess is vLLM's; `learned` makes it narrower.

    `neutral`: options that undo what a server reads out of a model's folder. `logprobs`: those of a judge's tokens may
    be asked for. `temperature`: sampling may be said at all. `stop`: where a judge ends may be said. `most_top`:
    alternatives that are shown of a token. `system`: a text of that role. `parts`: content may come in parts, which
    pictures need. `stream`: it answers as a stream only.
    """

    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    form: Form = "schema"
    neutral: bool = True
    logprobs: bool = True
    temperature: bool = True
    seed: bool = True
    stop: bool = True
    closing_stop: bool = True
    most_top: int = 20
    system: bool = True
    parts: bool = True
    stream: bool = False

    def __str__(self) -> str:
        """What differs from the first guess, for people."""
        usual = FIRST_GUESS
        changed = [
            f"{field.name} {getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(usual, field.name)
        ]
        return ", ".join(changed) or "as vLLM"


FIRST_GUESS = Dialect()

_FEWER = re.compile(
    r"(?:<=|≤|at most|no more than|less than or equal to|maximum\D{0,30}|between 0 and|between 1 and|\[0, ?)\s*(\d+)",
    re.IGNORECASE,
)
_REFUSES = (
    r"not support|unsupported|does not|unknown|unrecogni[sz]ed|unexpected|not permitted|not allowed|extra|invalid|"
    r"cannot find|only the default|not available|no such|not implemented|must be"
)

_OF_SCHEMA = re.compile(
    r"invalid schema|additionalProperties|in context|(min|max)(Length|Items)|keyword|pattern", re.IGNORECASE
)
"""Words of a refusal that is of what a schema says, and not of schemas."""


def learned(dialect: Dialect, said: str) -> Dialect | None:
    """The dialect of a server that refused a request in this one with these words; None where they say nothing of
    it."""
    text = said[:4000]
    for concerns, change in _LESSONS:
        if concerns.search(text):
            changed = change(dialect, text)
            if changed != dialect:
                return changed
    return None


def _about(names: str) -> re.Pattern[str]:
    """A refusal that names one of these."""
    return re.compile(rf"\b({names})\b.{{0,160}}({_REFUSES})|({_REFUSES}).{{0,160}}\b({names})\b", re.I | re.S)


def _fewer(dialect: Dialect, said: str) -> Dialect:
    """As many alternatives as it says that it shows, else 5, which servers that limit them allow as a rule."""
    lower = [int(number) for number in _FEWER.findall(said) if 0 < int(number) < dialect.most_top]
    return replace(dialect, most_top=max(lower) if lower else min(5, dialect.most_top))


def _weaker(dialect: Dialect, said: str) -> Dialect:
    """A schema that is not taken as it is may be taken as a hint."""
    weaker: dict[Form, Form] = {"schema": "object", "loose": "object", "object": "text"}
    if dialect.form == "schema" and _OF_SCHEMA.search(said):
        return replace(dialect, form="loose")
    return replace(dialect, form=weaker.get(dialect.form, dialect.form))


_LESSONS: tuple[tuple[re.Pattern[str], Callable[[Dialect, str], Dialect]], ...] = (
    (re.compile("max_completion_tokens"), lambda now, _: replace(now, limit="max_completion_tokens")),
    (_about("include_stop_str_in_output"), lambda now, _: replace(now, closing_stop=False)),
    (_about("repetition_penalty|top_k|min_p"), lambda now, _: replace(now, neutral=False, closing_stop=False)),
    (_about("seed"), lambda now, _: replace(now, seed=False)),
    (_about("stop"), lambda now, _: replace(now, stop=False)),
    (re.compile(r"top_?logprobs\D.{0,200}\d|\d.{0,80}top_?logprobs", re.I | re.S), _fewer),
    (_about("temperature|top_p"), lambda now, _: replace(now, temperature=False)),
    (re.compile(r"stream\w*\b.{0,60}(only|must|required|enable)|(only|must|enable).{0,60}\bstream", re.I | re.S),
     lambda now, _: replace(now, stream=True)),
    (re.compile(r"system['\"]?\s*(role|message|prompt)|role.{0,30}system|developer instruction", re.I | re.S),
     lambda now, _: replace(now, system=False)),
    (re.compile(_about("response_format|json_schema|json_object|guided_json|structured output|schema|grammar").pattern +
                r"|schema.{0,120}(too many|too complex|too large)", re.I | re.S), _weaker),
    (re.compile(r"content\b.{0,80}\bstring", re.I | re.S),
     lambda now, _: replace(now, parts=False)),
    (re.compile(
        r"(unrecogni[sz]ed|unknown|unexpected|unsupported|additional|extra|invalid)\b.{0,40}"
        r"\b(name|field|parameter|argument|key|propert|input|option)|extra_forbidden|not permitted", re.I | re.S),
     lambda now, _: replace(now, neutral=False, closing_stop=False)),
)  # fmt: skip
"""What refusals say, the more particular ones first, and what follows from each."""
