"""One video, many questions: encoded once, its keys and values used for every question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hardcut.schemas.errors import UsageError
from hardcut.teacher.local.answer_head import next_logprobs
from hardcut.teacher.local.pair_prompt import Shown, clips_of, pair_text, video_inputs


@dataclass(frozen=True, slots=True)
class SharedPrompts:
    """Prompts that begin alike, ready for the model: `inputs` (on the CPU) are of what they have in common, `endings`
    the tokens that follow in each. None of them is empty."""

    inputs: Any
    endings: list[list[int]]

    @property
    def length(self) -> int:
        """How many tokens all have in common."""
        return int(self.inputs["input_ids"].shape[1])

    def row(self) -> tuple[dict[str, Any], list[int]]:
        """All prompts as one row, their endings one after the other: what the model is given, and whose each token is:
        0 for what all have in common, else the number of the prompt."""
        whose = [0] * self.length + [number for number, ending in enumerate(self.endings, 1) for _ in ending]
        return _longer(dict(self.inputs), [token for ending in self.endings for token in ending]), whose


def share(processor: Any, texts: Sequence[str], inputs: Callable[[str], Any]) -> SharedPrompts:
    """`texts` are rendered prompts, alike up to the end of their media; `inputs` makes of that beginning what the model
    is given. Raises ValueError for texts that begin otherwise."""
    parts = [text.rpartition(processor.vision_end_token) for text in texts]
    beginning, end, _ = parts[0]
    if any(begins != beginning for begins, *_ in parts):
        raise ValueError("prompts on one video do not begin alike: the chat template puts text before the media")
    endings = [processor.tokenizer.encode(after, add_special_tokens=False) for *_, after in parts]
    alike = _alike([ending[:-1] for ending in endings])  # something is left of each
    return SharedPrompts(_longer(inputs(beginning + end), endings[0][:alike]), [ending[alike:] for ending in endings])


def share_pairs(processor: Any, shown: Shown, queries: Sequence[str]) -> SharedPrompts:
    """As `share`, for the queries that a reranker is asked of one clip, or of one that they all start from and one."""
    clips = clips_of(shown)
    texts = [pair_text(processor, query, len(clips) > 1) for query in queries]
    return share(processor, texts, lambda beginning: video_inputs(processor, [beginning], clips))


def can_share(model: Any, processor: Any) -> bool:
    """Whether a model is one of those that this is for: of the Qwen-VL family, and all of its layers attend to all that
    came before (a state that has read on cannot be handed to several prompts of unequal length)."""
    layers = getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"]
    return bool(getattr(processor, "vision_end_token", "")) and set(layers) == {"full_attention"}


class SharedPrefix:
    """Reads the next token's probabilities after prompts that show the same media.

    What they have in common (system text, media, and whatever of the text is the same) goes through the model once.
    What is left of each then follows in one row, `batch` of them in one forward pass: each sees what they have in
    common and itself, so that nothing is padded and the keys and values stand there once, however many share them.
    """

    def __init__(self, model: Any, processor: Any, batch: int) -> None:
        self._model = model
        self._processor = processor
        self._batch = batch
        if not getattr(processor, "vision_end_token", ""):
            raise UsageError(f"{type(processor).__name__} is no processor of a Qwen-VL model, which a reranker needs")

    def prepare(self, texts: Sequence[str], inputs: Callable[[str], Any]) -> SharedPrompts:
        """As `share`, the media in the model's type. Can be done while the model is at work."""
        return self._cast(share(self._processor, texts, inputs))

    def prepare_pairs(self, shown: Shown, queries: Sequence[str]) -> SharedPrompts:
        """As `prepare`, for the queries that a reranker is asked of what is shown."""
        return self._cast(share_pairs(self._processor, shown, queries))

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
    def logprobs(self, shared: SharedPrompts, tokens: Sequence[int]) -> list[list[float]]:
        """For each prompt the log-probabilities of `tokens` as the next one; their differences are exact in float32."""
        prefix = shared.inputs.to(self._model.device)
        cache = self._model(**prefix, use_cache=True, logits_to_keep=1).past_key_values
        # Where text goes on after media: its positions are fewer than its tokens (multimodal rotary embedding).
        start = shared.length + int(self._model_of_positions().rope_deltas.flatten()[0])
        found: list[list[float]] = []
        for at in range(0, len(shared.endings), self._batch):
            part = shared.endings[at : at + self._batch]
            found += next_logprobs(self._model, tokens, self._going_on(cache, shared.length, start, part))[0].tolist()
            cache.crop(-sum(map(len, part)))  # of what they have in common again
        return found

    def _cast(self, shared: SharedPrompts) -> SharedPrompts:
        given = shared.inputs
        for name in given.keys() & {"pixel_values", "pixel_values_videos"}:
            given[name] = given[name].to(self._model.dtype)
        return shared

    def _going_on(self, cache: Any, length: int, start: int, endings: Sequence[Sequence[int]]) -> dict[str, Any]:
        """What the model is given to go on after the `length` tokens in `cache` with each of the endings, which begin
        at position `start`."""
        widths = torch.tensor([len(ending) for ending in endings])
        whose = torch.repeat_interleave(torch.arange(len(endings)), widths)
        own = (whose[:, None] == whose[None, :]).tril()
        seen = torch.cat([torch.ones(len(whose), length, dtype=torch.bool), own], 1)
        dtype, device = self._model.dtype, self._model.device
        hidden = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
        positions = torch.cat([torch.arange(start, start + len(ending)) for ending in endings])
        return {
            "input_ids": torch.tensor([token for ending in endings for token in ending])[None].to(device),
            "attention_mask": hidden[None, None].to(device),
            "position_ids": positions.expand(3, 1, -1).to(device),
            "past_key_values": cache,
            "use_cache": True,
            "logits_to_keep": (widths.cumsum(0) - 1).to(device),
        }

    def _model_of_positions(self) -> Any:
        return next(module for module in self._model.modules() if getattr(module, "rope_deltas", None) is not None)


def _longer(inputs: Any, tokens: list[int]) -> Any:
    """A model's inputs with these tokens of text after them. Raises ValueError for inputs that are not known here."""
    values = {"input_ids": tokens, "attention_mask": [1] * len(tokens), "mm_token_type_ids": [0] * len(tokens)}
    length = inputs["input_ids"].shape[1]
    for name, value in inputs.items():
        if value.shape[:2] == (1, length):
            if name not in values:
                raise ValueError(f"the processor gives {name} for every token, which is not known here")
            inputs[name] = torch.cat([value, torch.tensor([values[name]], dtype=value.dtype)], 1)
    return inputs


def _alike(rows: Sequence[Sequence[int]]) -> int:
    """How many numbers all rows begin with alike."""
    for at, column in enumerate(zip(*rows, strict=False)):
        if len(set(column)) > 1:
            return at
    return min(map(len, rows))
