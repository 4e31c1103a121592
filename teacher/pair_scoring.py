"""One video, many queries: decoded once, encoded once, its key-values used for every query."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from hardcut.schemas.errors import UsageError
from hardcut.teacher.pairs import Clip, pair_text, video_inputs


class PairScorer:
    """Scores queries against a clip with a video-language model of transformers whose template knows pairs.

    What stands before the query (system text and video) goes through the model once; its keys and values are then
    shared by the queries, `batch` of them in one forward pass, padded between prefix and query.
    """

    def __init__(self, model: Any, processor: Any, batch: int) -> None:
        self._model = model
        self._processor = processor
        self._batch = batch
        self._end: str = getattr(processor, "vision_end_token", "")
        if not self._end:
            raise UsageError(f"{type(processor).__name__} is no processor of a Qwen-VL model, which a reranker needs")

    @torch.inference_mode()  # type: ignore[untyped-decorator,unused-ignore]
    def logprobs(
        self, clip: Clip, queries: Sequence[str], tokens: Sequence[int]
    ) -> tuple[list[list[float]], int, list[int]]:
        """For each query the log-probabilities of `tokens` as the next one; and how many tokens the shared prefix has
        and what follows it, query by query."""
        texts = [pair_text(self._processor, query).rpartition(self._end) for query in queries]
        before, end, _ = texts[0]
        device = self._model.device
        prefix = video_inputs(self._processor, [before + end], [clip]).to(device)
        if "pixel_values_videos" in prefix:
            prefix["pixel_values_videos"] = prefix["pixel_values_videos"].to(self._model.dtype)
        tokenizer = self._processor.tokenizer
        suffixes = [tokenizer.encode(after, add_special_tokens=False) for *_, after in texts]
        known = self._model(**prefix, use_cache=True, logits_to_keep=1)
        length = prefix["input_ids"].shape[1]
        # Where text goes on after the video: its positions are fewer than its tokens (multimodal rotary embedding).
        start = length + int(self._model_of_positions().rope_deltas.flatten()[0])
        found: list[list[float]] = []
        for at in range(0, len(suffixes), self._batch):
            part = suffixes[at : at + self._batch]
            found += self._continue(known.past_key_values, length, start, part, tokens)
        return found, length, [len(suffix) for suffix in suffixes]

    def _continue(
        self, cache: Any, length: int, start: int, suffixes: Sequence[Sequence[int]], tokens: Sequence[int]
    ) -> list[list[float]]:
        device, widest = self._model.device, max(map(len, suffixes))
        pad = self._processor.tokenizer.pad_token_id
        ids = torch.full((len(suffixes), widest), pad, device=device)
        seen = torch.zeros((len(suffixes), widest), dtype=torch.long, device=device)
        positions = torch.zeros((len(suffixes), widest), dtype=torch.long, device=device)
        for row, suffix in enumerate(suffixes):
            ids[row, -len(suffix) :] = torch.tensor(suffix, device=device)
            seen[row, -len(suffix) :] = 1
            positions[row, -len(suffix) :] = torch.arange(start, start + len(suffix), device=device)
        ahead = torch.ones((len(suffixes), length), dtype=torch.long, device=device)
        own = copy.deepcopy(cache)
        own.batch_repeat_interleave(len(suffixes))
        logits = self._model(
            input_ids=ids,
            attention_mask=torch.cat([ahead, seen], 1),
            position_ids=positions.expand(3, -1, -1),
            past_key_values=own,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        return list(logits.float().log_softmax(-1)[:, list(tokens)].tolist())

    def _model_of_positions(self) -> Any:
        return next(module for module in self._model.modules() if getattr(module, "rope_deltas", None) is not None)
