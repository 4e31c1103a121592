"""`vllm:MODEL` in its process: what is asked joins what is under way, prefixes kept, exact scores by
`logprob_token_ids`."""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from hardcut.schemas.records import Tokens
from hardcut.schemas.shown import shown_line
from hardcut.teacher.confidence import TokenScore
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt, nothing_more
from hardcut.teacher.local.pair_prompt import add_pair_template, clips_of, pair_text
from hardcut.teacher.local.pictures import read_pictures, read_shown
from hardcut.teacher.local.safe_loading import NO_CODE
from hardcut.teacher.local.shown import judged_digest, shown_digest, told_apart, versions
from hardcut.teacher.local.text_model import processor_of
from hardcut.teacher.prompts.question import STOP
from hardcut.teacher.spellings import spellings_of

_log = logging.getLogger(__name__)
_A_STEP = 8
"""Prompts that are made ready between two steps of the engine, at most: replies do not wait for many of them."""
_IN_FLIGHT = 512
"""Prompts that the engine has at once, at most: more would fill its memory with pictures."""


class VllmGenerator:
    """Only safetensors are read, and no code of the model's is run."""

    def __init__(self, options: ModelOptions) -> None:
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        # The engine has a process of its own: it goes on while prompts are made ready here.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
        from vllm import LLM
        from vllm.exceptions import VLLMClientError

        self._refusals = (OSError, ValueError, VLLMClientError)
        self._llm = LLM(
            model=options.model,
            revision=options.revision,
            max_model_len=options.max_model_len,
            gpu_memory_utilization=options.gpu_memory,
            tensor_parallel_size=options.gpus,
            limit_mm_per_prompt={"image": options.max_images, "video": options.videos},
            enable_prefix_caching=True,
            load_format="safetensors",
            **NO_CODE,
            seed=0,
            generation_config="vllm",  # no defaults out of the model's folder
            logprobs_mode="raw_logprobs",
            **(_exact(options) if options.videos else {}),
        )
        self._spellings = spellings_of(self._llm.get_tokenizer())
        self._options = options
        self._shown: tuple[object, dict[Path, Any]] = None, {}
        """The pictures that were sent last: questions on one video come one after another and show the same."""
        self._watched: tuple[object, Any] = None, None
        """The same of a reranker's videos."""

    def generate(
        self, prompts: Sequence[Prompt], more: Callable[[], Sequence[Prompt]] = nothing_more
    ) -> Iterator[tuple[int, Generated | GenerationFailed]]:
        """vLLM decides at each of its steps what goes together, and is fastest with much to choose from. So what is
        asked goes to it at once, a few prompts between two steps, and a reply comes at the step that ends it."""
        numbers, waiting = itertools.count(), deque[tuple[int, Prompt]]()
        running: dict[str, tuple[int, Prompt]] = {}
        waiting.extend((number, prompt) for prompt, number in zip(prompts, numbers, strict=False))
        while waiting or running:
            for _ in range(min(len(waiting), _A_STEP, _IN_FLIGHT - len(running))):
                at, prompt = waiting.popleft()
                try:
                    running[self._sent(prompt)] = at, prompt
                except self._refusals as error:
                    yield at, GenerationFailed("refused", f"{type(error).__name__}: {error}")
            for output in self._llm.llm_engine.step() if running else ():
                if output.finished:
                    at, prompt = running.pop(output.request_id)
                    yield at, self._read(prompt, output)
            waiting.extend((number, prompt) for prompt, number in zip(more(), numbers, strict=False))

    def _sent(self, prompt: Prompt) -> str:
        """Gives the engine a prompt and returns the number that its output will have. Raises one of `_refusals`."""
        [name] = self._pair_sent(prompt) if prompt.pair else self._chat_sent(prompt)
        return name.partition("-")[0]  # the engine adds letters of its own

    def _chat_sent(self, prompt: Prompt) -> list[str]:
        if prompt.pictures != self._shown[0]:
            self._shown = prompt.pictures, read_pictures([prompt])
        pictures, tokenizer = self._shown[1], self._llm.get_tokenizer()
        images = [{"type": "image_pil", "image_pil": pictures[path]} for _, path in prompt.pictures]
        sent: list[str] = self._llm.enqueue_chat(
            [prompt.messages(images, tokenizer)],
            [self._parameters(prompt)],
            use_tqdm=False,
            chat_template_content_format="openai",
            add_generation_prompt=not prompt.prefilled,
            continue_final_message=prompt.prefilled,
        )
        return sent

    def _pair_sent(self, prompt: Prompt) -> list[str]:
        """A reranker's pair: the video first, so that its prefix is found in the cache by all queries but one."""
        processor = self._processor
        shown = prompt.frames, prompt.reference
        if shown != self._watched[0]:
            self._watched = shown, clips_of(read_shown(prompt))
        clips = self._watched[1]
        sent: list[str] = self._llm.enqueue(
            [
                {
                    "prompt": pair_text(processor, prompt.user, len(clips) > 1),
                    "multi_modal_data": {
                        "video": [(clip.array, {**clip.metadata, "do_sample_frames": False}) for clip in clips]
                    },
                    "mm_processor_kwargs": {"do_sample_frames": False},
                }
            ],
            [self._parameters(prompt)],
            use_tqdm=False,
        )
        return sent

    @cached_property
    def _processor(self) -> Any:
        """transformers' own, which vLLM uses too; a reranker's knows pairs."""
        found = processor_of(self._options)
        if self._options.videos:
            add_pair_template(found, self._options.profile)
            otherwise = told_apart(self._options.model, found)
            if otherwise:
                _log.warning("%s", otherwise)
        return found

    @cached_property
    def _shown_line(self) -> str:
        of = self._processor
        found = shown_digest(of) if self._options.videos else judged_digest(of, bool(self._options.max_images))
        return shown_line(found, versions("vllm"))

    def _parameters(self, prompt: Prompt) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        sampling = prompt.sampling
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            max_tokens=1 if prompt.prefilled else prompt.limit,
            stop=[STOP] if prompt.judge and not prompt.prefilled else None,
            include_stop_str_in_output=True,
            logprob_token_ids=list(self._spellings.ids) if prompt.judge else None,
            structured_outputs=StructuredOutputsParams(json=prompt.schema) if prompt.schema else None,
        )

    def _read(self, prompt: Prompt, output: Any) -> Generated:
        completion = output.outputs[0]
        tokens = Tokens(
            prompt=len(output.prompt_token_ids),
            completion=len(completion.token_ids),
            cached=output.num_cached_tokens or 0,
        )
        finish: Literal["stop", "length"] = "length" if completion.finish_reason == "length" else "stop"
        steps = zip(completion.token_ids, completion.logprobs or (), strict=False)
        scores = tuple(self._token(id, step, prompt.prefilled) for id, step in steps) if prompt.judge else ()
        return Generated(completion.text, finish, tokens, scores, self._shown_line if prompt.judge else None)

    def _token(self, id: int, step: Any, prefilled: bool) -> TokenScore:
        scored = prefilled or id in self._spellings.ids
        top = self._spellings.scores(step[each].logprob for each in self._spellings.ids) if scored else ()
        token = step[id].decoded_token or ""
        return TokenScore(token.encode("utf-8", "surrogatepass"), step[id].logprob, top, self._spellings.texts)


def _exact(options: ModelOptions) -> dict[str, Any]:
    """For a reranker: logits in float32 out of the hidden state, whatever type the model computes in, and a model that
    was saved in float32 computes in it (vLLM by itself would round it to 16 bits). Frames are brought to the mean and
    deviation of videos before they are sent: the model itself would take those of pictures."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(options.model, revision=options.revision, **NO_CODE)
    saved = str(config.get_text_config().dtype or config.dtype).removeprefix("torch.")
    exact: dict[str, Any] = {"hf_overrides": {"head_dtype": "float32"}, "mm_device_do_normalize": False}
    return {**exact, "dtype": "float32"} if saved == "float32" else exact
