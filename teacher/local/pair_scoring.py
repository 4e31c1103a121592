"""Scores of a video under several queries, by any video-language model that transformers knows.

Models of the Qwen-VL family that attend to all that came before read the video once for all queries (`SharedPrefix`),
where the prompt shows it first. Any other has a row of its own for each query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hardcut.schemas.errors import UsageError
from hardcut.teacher.local.answer_head import next_logprobs
from hardcut.teacher.local.pair_prompt import Shown, pair_inputs, shows_video_first
from hardcut.teacher.local.shared_prefix import SharedPrefix, SharedPrompts, can_share


class PairScorer:
    """Reads the next token's probabilities after the pairs of one video. The processor knows pairs already.

    Raises UsageError where the processor takes no videos, before any is read.
    """

    def __init__(self, model: Any, processor: Any, batch: int) -> None:
        self._model, self._processor, self._batch = model, processor, batch
        if getattr(processor, "video_processor", None) is None:
            raise UsageError(f"{type(processor).__name__} takes no videos, which a reranker is shown")
        shares = can_share(model, processor) and shows_video_first(processor)
        self._prefix = SharedPrefix(model, processor, batch) if shares else None

    def prepare(self, shown: Shown, queries: Sequence[str]) -> SharedPrompts | list[Any]:
        """What the model is given, on the CPU. Can be made ready while the model is at work."""
        if self._prefix is not None:
            return self._prefix.prepare_pairs(shown, queries)
        parts = [queries[at : at + self._batch] for at in range(0, len(queries), self._batch)]
        found = []
        for part in parts:
            inputs = pair_inputs(self._processor, [(query, shown) for query in part])
            for name in inputs.keys() & {"pixel_values", "pixel_values_videos"}:
                inputs[name] = inputs[name].to(self._model.dtype)
            found.append(inputs)
        return found

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
    def logprobs(self, ready: SharedPrompts | list[Any], tokens: Sequence[int]) -> list[list[float]]:
        """For each query the log-probabilities of `tokens` as the next one; their differences are exact in float32."""
        if isinstance(ready, SharedPrompts):
            assert self._prefix is not None, "they were prepared by it"
            shared: list[list[float]] = self._prefix.logprobs(ready, tokens)
            return shared
        found: list[list[float]] = []
        for inputs in ready:
            given = {**inputs.to(self._model.device), "logits_to_keep": 1}
            found += next_logprobs(self._model, tokens, given)[:, -1].tolist()
        return found

    def lengths(self, ready: SharedPrompts | list[Any]) -> list[tuple[int, int]]:
        """For each query the tokens of its prompt, and how many of them another one had read."""
        if isinstance(ready, SharedPrompts):
            return [
                (ready.length + len(ending), ready.length if number else 0)
                for number, ending in enumerate(ready.endings)
            ]
        return [(length, 0) for inputs in ready for length in inputs["attention_mask"].sum(1).tolist()]
