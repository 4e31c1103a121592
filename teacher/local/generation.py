"""What a model in a process of its own is handed and hands back. Everything here pickles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from hardcut.schemas.records import Sampling, Tokens
from hardcut.teacher.confidence import TokenScore
from hardcut.teacher.prompts.bounds import bounded_schema, bounds_of, most_tokens
from hardcut.teacher.prompts.control_tokens import spell_out_for
from hardcut.teacher.prompts.question import PREFILL
from hardcut.teacher.prompts.render import Rendered
from hardcut.teacher.protocol import Request


@dataclass(frozen=True, slots=True)
class Prompt:
    """One generation. `pictures` are stored JPEGs, each with the text before it. With `judge` yes and no are scored at
    every token; with `reasoning` off, or `forced` after it, only the first token is wanted, right after the prefilled
    `<answer>`. `schema` is what the reply must fit, `limit` its tokens. `further` are messages after the first, (role,
    text); the last of a forced judge is its reasoning.
    A `pair` is what a reranker scores: `user` is the query and nothing more, `frames` (JPEGs with their times) the
    video as a video, and the prompt is the model's own (`pair_prompt.py`); prompts of one video share its encoding.
    `reference` are the frames of the video that a composed query starts from.
    """

    system: str
    user: str
    pictures: tuple[tuple[str, Path], ...]
    sampling: Sampling
    judge: bool
    schema: dict[str, JsonValue] | None = None
    further: tuple[tuple[str, str], ...] = ()
    pair: bool = False
    frames: tuple[tuple[Path, float], ...] = ()
    limit: int = 1
    forced: bool = False
    reference: tuple[tuple[Path, float], ...] = ()

    @property
    def prefilled(self) -> bool:
        """Whether the reply's first words are given."""
        return self.judge and (self.forced or not self.sampling.reasoning)

    def messages(self, image: Sequence[dict[str, object]], tokenizer: Any | None) -> list[dict[str, object]]:
        """The conversation in the form of chat templates, media first; `image` is the part for each picture. What the
        tokenizer would take for one of its control tokens is spelled out; None: it is shown to people only."""
        content: list[dict[str, object]] = []
        for (label, _), part in zip(self.pictures, image, strict=True):
            content += [{"type": "text", "text": label}, part]
        content.append({"type": "text", "text": spell_out_for(tokenizer, self.user)})
        messages: list[dict[str, object]] = [
            {"role": "system", "content": [{"type": "text", "text": self.system}]},
            {"role": "user", "content": content},
        ]
        further = [(role, spell_out_for(tokenizer, text)) for role, text in self.further]
        if self.prefilled:
            said = further.pop()[1] if self.forced else ""
            further.append(("assistant", said + PREFILL))
        messages += [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in further]
        return messages


def pair_prompt(
    query: str, frames: tuple[tuple[Path, float], ...], reference: tuple[tuple[Path, float], ...] = ()
) -> Prompt:
    """A query and a video for a reranker to score; `reference` is the video that a composed query starts from."""
    plain = Sampling(reasoning=False)
    return Prompt("", query, (), plain, judge=True, pair=True, frames=frames, reference=reference)


def prompt_of(request: Request, text: Rendered) -> Prompt:
    """The generation that a request asks for."""
    return Prompt(
        text.system,
        text.user,
        tuple((label, frame.path) for label, frame in request.pictures),
        request.sampling,
        judge=request.reply is None,
        schema=_schema(request),
        limit=_limit(request),
    )


def _schema(request: Request) -> dict[str, JsonValue] | None:
    bounds = bounds_of(request)
    if request.reply is None or bounds is None:
        return request.reply.model_json_schema() if request.reply else None
    return bounded_schema(request.reply, bounds)


def _limit(request: Request) -> int:
    """Tokens of the reply; a judge's are for its reasoning."""
    bounds, most = bounds_of(request), request.sampling.max_tokens
    return min(most, most_tokens(request.reply, bounds)) if request.reply and bounds else most


@dataclass(frozen=True, slots=True)
class Generated:
    """What came out. `scores` has an entry for each generated token of a judge. `shown`: how the model was shown what
    it judged, as of a label (`schemas/shown.py`)."""

    text: str
    finish: Literal["stop", "length"]
    tokens: Tokens
    scores: tuple[TokenScore, ...] = ()
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """What a server gave a pair: a score, and nothing of how it came to it."""

    value: float
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    """Why one prompt could not be answered (too long for the model, a frame that is gone)."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is loaded. Changes no result, but for `profile`: how a reranker is shown pairs (`profiles.py`)."""

    model: str
    revision: str | None
    max_images: int
    max_model_len: int | None
    gpu_memory: float
    gpus: int
    batch: int
    videos: int = 0
    profile: str | None = None


def nothing_more() -> Sequence[Prompt]:
    """For a generator that is given all at once."""
    return ()


class Generator(Protocol):
    """A loaded model."""

    def generate(
        self, prompts: Sequence[Prompt], more: Callable[[], Sequence[Prompt]] = nothing_more
    ) -> Iterator[tuple[int, Generated | GenerationFailed]]:
        """One result for each prompt, with its position, as they come. `more` gives what was asked meanwhile, and is
        called again and again while there is work: those prompts are at the next positions, and nothing that came
        before has to end first."""
        ...
