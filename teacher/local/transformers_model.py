"""`transformers:MODEL` in its process: any model for images and text, with its real logits."""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
)

from hardcut.schemas.records import Tokens
from hardcut.schemas.shown import shown_line
from hardcut.teacher.confidence import TokenScore
from hardcut.teacher.local.answer_head import next_logprobs
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt, nothing_more
from hardcut.teacher.local.pair_prompt import add_pair_template, limit_frames
from hardcut.teacher.local.pair_scoring import PairScorer
from hardcut.teacher.local.pictures import chat_inputs, chat_text, read_pictures, read_shown
from hardcut.teacher.local.profiles import PROFILES
from hardcut.teacher.local.shared_prefix import SharedPrefix, SharedPrompts, can_share
from hardcut.teacher.local.shown import judged_digest, shown_digest, told_apart, versions
from hardcut.teacher.local.text_model import load
from hardcut.teacher.prompts.question import STOP
from hardcut.teacher.spellings import Spellings, spellings_of

_log = logging.getLogger(__name__)


class TransformersGenerator:
    """Prompts of one kind go through the model `batch` at a time, padded on the left; sampled ones one by one, since
    their seed counts. Questions on one video that want one forward pass share its encoding, where the model can. What a
    batch is given is made ready while the batch before it is in the model. Only safetensors are read, and no code of
    the model's is run."""

    def __init__(self, options: ModelOptions) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._processor, self._model = load(options)
        self._model.generation_config = _neutral(self._model.generation_config)
        self._model.to(self._device).eval()
        self._processor.tokenizer.padding_side = "left"
        # To read with while the processor's own is being written with: one that pads cannot be shared by threads.
        self._tokenizer = copy.deepcopy(self._processor.tokenizer)
        self._spellings = spellings_of(self._tokenizer)
        self._batch, self._videos, self._pictures = options.batch, options.videos, bool(options.max_images)
        self._halved = False
        self._shares = can_share(self._model, self._processor)
        if options.videos:  # a reranker: what it cannot do is told before a video is read
            add_pair_template(self._processor, options.profile)
            self._limit_frames(options.profile)
            _ = self._pairs
            otherwise = told_apart(options.model, self._processor)
            if otherwise:
                _log.warning("%s", otherwise)

    def _limit_frames(self, profile: str | None) -> None:
        """As many pixels a frame as those who trained the model show it."""
        pixels = PROFILES[profile].frame_pixels if profile in PROFILES else None
        if pixels:
            limit_frames(self._processor, pixels, PROFILES[str(profile)].frames or 1)

    def generate(
        self, prompts: Sequence[Prompt], more: Callable[[], Sequence[Prompt]] = nothing_more
    ) -> Iterator[tuple[int, Generated | GenerationFailed]]:
        known, batches, ready = list(prompts), deque(self._batches(prompts)), deque[Future[Any]]()
        with ThreadPoolExecutor(1) as beside:
            while batches:
                start = len(known)
                known += more()
                batches += [[start + at for at in positions] for positions in self._batches(known[start:])]
                for ahead in islice(batches, len(ready), 2):
                    ready.append(beside.submit(self._prepare, [known[each] for each in ahead]))
                positions = batches.popleft()
                batch = [known[each] for each in positions]
                yield from zip(positions, self._answers(batch, ready.popleft(), beside), strict=True)

    @torch.inference_mode()  # type: ignore[untyped-decorator,unused-ignore]
    def _answers(
        self, batch: Sequence[Prompt], ready: Future[Any], beside: ThreadPoolExecutor
    ) -> Sequence[Generated | GenerationFailed]:
        """Those of a batch; of its halves where the memory is too small for it."""
        try:
            return self._answer(batch, ready.result())
        except (OSError, ValueError) as error:
            return [GenerationFailed("refused", f"{type(error).__name__}: {error}")] * len(batch)
        except torch.OutOfMemoryError as error:
            said = str(error).partition(". ")[0]
        torch.cuda.empty_cache()
        if len(batch) == 1:
            fewer = "fewer frames need less (teacher.sampling.max_frames, media.max_pixels)"
            return [GenerationFailed("out_of_memory", f"{said}: {fewer}")]
        if not self._halved:
            self._halved = True
            _log.warning(
                "%s, with %d prompts together: they are halved where it happens (resources.batch)", said, len(batch)
            )
        half = len(batch) // 2
        parts = (batch[:half], batch[half:])
        return [each for part in parts for each in self._answers(part, beside.submit(self._prepare, part), beside)]

    def _batches(self, prompts: Sequence[Prompt]) -> Iterator[list[int]]:
        """Positions of prompts that go through the model together."""
        alike: dict[object, list[int]] = {}
        videos: dict[object, list[int]] = {}
        for at, prompt in enumerate(prompts):
            if self._shared(prompt):
                videos.setdefault(
                    (prompt.pair, prompt.system, prompt.pictures, prompt.frames, prompt.reference), []
                ).append(at)
                continue
            alone = at if prompt.sampling.temperature > 0 else -1
            alike.setdefault((prompt.judge, prompt.prefilled, prompt.limit, prompt.sampling, alone), []).append(at)
        yield from videos.values()  # whole: `SharedPrefix` parts them
        for positions in alike.values():
            for start in range(0, len(positions), self._batch):
                yield positions[start : start + self._batch]

    def _shared(self, prompt: Prompt) -> bool:
        return prompt.pair or (self._shares and prompt.prefilled and bool(prompt.pictures) and not prompt.further)

    def _prepare(self, batch: Sequence[Prompt]) -> Any:
        """What the model is given, on the CPU. Raises OSError or ValueError."""
        if batch[0].pair:
            return self._pairs.prepare(read_shown(batch[0]), [prompt.user for prompt in batch])
        texts = [self._text(prompt) for prompt in batch]
        if self._shared(batch[0]):
            return self._prefix.prepare(texts, lambda beginning: self._inputs([beginning], batch[:1]))
        return self._inputs(texts, batch)

    def _answer(self, batch: Sequence[Prompt], ready: Any) -> list[Generated]:
        if batch[0].pair:
            logprobs = self._pairs.logprobs(ready, self._spellings.ids)
            lengths = self._pairs.lengths(ready)
            return [
                self._scored(row, Tokens(prompt=prompt, completion=1, cached=cached))
                for row, (prompt, cached) in zip(logprobs, lengths, strict=True)
            ]
        if isinstance(ready, SharedPrompts):
            return self._score_shared(ready)
        inputs = ready.to(self._device)
        return self._score(inputs) if batch[0].prefilled else self._generate(batch, inputs)

    def _generate(self, batch: Sequence[Prompt], inputs: Any) -> list[Generated]:
        first = batch[0]
        sampling = first.sampling
        torch.manual_seed(sampling.seed)
        options: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            options = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        watch = _Watch(self._spellings)
        length = inputs["input_ids"].shape[1]
        made = self._model.generate(
            **inputs,
            **options,
            max_new_tokens=first.limit,
            stop_strings=[STOP] if first.judge else None,
            tokenizer=self._tokenizer,
            logits_processor=LogitsProcessorList([watch] if first.judge else []),
        )[:, length:]
        watch.close(made)
        return [self._read(row, made[row].tolist(), inputs, watch, first.judge) for row in range(len(batch))]

    def _score(self, inputs: Any) -> list[Generated]:
        """One forward pass: yes and no at the place after the prompt."""
        logprobs = next_logprobs(self._model, self._spellings.ids, {**inputs, "logits_to_keep": 1})[:, -1].tolist()
        lengths = inputs["attention_mask"].sum(1).tolist()
        return [
            self._scored(row, Tokens(prompt=length, completion=1))
            for row, length in zip(logprobs, lengths, strict=True)
        ]

    def _score_shared(self, shared: SharedPrompts) -> list[Generated]:
        """The same, where all but the first find what they have in common there."""
        logprobs, common = self._prefix.logprobs(shared, self._spellings.ids), shared.length
        return [
            self._scored(row, Tokens(prompt=common + len(ending), completion=1, cached=common if number else 0))
            for number, (row, ending) in enumerate(zip(logprobs, shared.endings, strict=True))
        ]

    def _scored(self, logprobs: Sequence[float], tokens: Tokens) -> Generated:
        scores = self._spellings.scores(logprobs)
        likeliest = TokenScore(*max(scores, key=lambda score: score[1]), scores, self._spellings.texts)
        return Generated("", "stop", tokens, (likeliest,), self._shown)

    @cached_property
    def _shown(self) -> str:
        """How what is judged or scored here is shown, of a reranker's pairs or of a judge's pictures."""
        if self._videos:
            return shown_line(shown_digest(self._processor), versions())
        return shown_line(judged_digest(self._processor, self._pictures), versions())

    @cached_property
    def _pairs(self) -> PairScorer:
        return PairScorer(self._model, self._processor, self._batch)

    @cached_property
    def _prefix(self) -> SharedPrefix:
        return SharedPrefix(self._model, self._processor, self._batch)

    def _text(self, prompt: Prompt) -> str:
        return chat_text(self._processor, self._tokenizer, prompt)

    def _inputs(self, texts: Sequence[str], batch: Sequence[Prompt]) -> Any:
        pictures = read_pictures(batch)
        images = [[pictures[path] for _, path in prompt.pictures] for prompt in batch]
        return chat_inputs(self._processor, texts, images)

    def _read(self, row: int, ids: list[int], inputs: Any, watch: _Watch, judge: bool) -> Generated:
        ends = self._model.generation_config.eos_token_id
        ends = {ends} if isinstance(ends, int) else set(ends or ())
        stop = next((at for at, id in enumerate(ids) if id in ends), None)
        ids = ids if stop is None else ids[:stop]
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        ended = stop is not None or (judge and STOP in text)
        prompt = int(inputs["attention_mask"][row].sum())
        tokens = Tokens(prompt=prompt, completion=len(ids))
        scores = tuple(self._token(id, watch, at, row) for at, id in enumerate(ids)) if judge else ()
        return Generated(text, "stop" if ended else "length", tokens, scores, self._shown if judge else None)

    def _token(self, id: int, watch: _Watch, at: int, row: int) -> TokenScore:
        token = self._tokenizer.decode([id]).encode("utf-8", "surrogatepass")
        drawn, asked = watch.steps[at]
        top = self._spellings.scores(asked[row]) if id in self._spellings.ids else ()
        return TokenScore(token, drawn[row], top, self._spellings.texts)


def _neutral(own: GenerationConfig) -> GenerationConfig:
    """What the model's folder says of how to generate, without all that changes its scores (`repetition_penalty`,
    `top_k`, `bad_words_ids`, ...): only its special tokens are left."""
    return GenerationConfig(
        bos_token_id=own.bos_token_id,
        eos_token_id=own.eos_token_id,
        pad_token_id=own.pad_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
    )


class _Watch(LogitsProcessor):  # type: ignore[misc,unused-ignore]
    """Notes at every step what the model gave the spellings of yes and no, and the token that was drawn; changes
    nothing. It keeps one row of the vocabulary, not one for every step."""

    def __init__(self, spellings: Spellings) -> None:
        self._ids = list(spellings.ids)
        self._last: Any = None
        self.steps: list[tuple[list[float], list[list[float]]]] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._note(input_ids[:, -1])
        self._last = scores.float().log_softmax(-1)
        return scores

    def close(self, made: Any) -> None:
        """All tokens are drawn."""
        if made.shape[1]:
            self._note(made[:, -1])

    def _note(self, drawn: Any) -> None:
        if self._last is not None:
            chosen = self._last.gather(1, drawn[:, None])[:, 0].tolist()
            self.steps.append((chosen, self._last[:, self._ids].tolist()))
