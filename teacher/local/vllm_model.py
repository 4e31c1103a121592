"""`vllm:MODEL` in its process: batches over all that waits, prefixes kept, exact scores by `logprob_token_ids`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from hardcut.schemas.records import Tokens
from hardcut.teacher.confidence import TokenScore
from hardcut.teacher.local.generation import Generated, GenerationFailed, ModelOptions, Prompt
from hardcut.teacher.local.pair_prompt import add_pair_template, pair_text, read_clip
from hardcut.teacher.local.pictures import read_pictures
from hardcut.teacher.local.safe_loading import NO_CODE
from hardcut.teacher.prompts.question import STOP
from hardcut.teacher.spellings import spellings_of


class VllmGenerator:
    """Only safetensors are read, and no code of the model's is run."""

    def __init__(self, options: ModelOptions) -> None:
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        if options.gpus == 1:
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # this process is its own already
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
        )
        self._spellings = spellings_of(self._llm.get_tokenizer())
        self._options = options
        self._processor: Any = None

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Generated | GenerationFailed]]:
        """All of a kind at once: vLLM decides what goes together, and is fastest with much to choose from."""
        for prefilled, pair in ((False, False), (True, False), (True, True)):
            group = [at for at, each in enumerate(prompts) if (each.prefilled, each.pair) == (prefilled, pair)]
            if group:
                yield from zip(group, self._group([prompts[at] for at in group], prefilled), strict=True)

    def _group(self, prompts: Sequence[Prompt], prefilled: bool) -> list[Generated | GenerationFailed]:
        try:
            return self._pairs(prompts) if prompts[0].pair else self._chat(prompts, prefilled)
        except self._refusals as error:
            if len(prompts) == 1:
                return [GenerationFailed("refused", f"{type(error).__name__}: {error}")]
        half = len(prompts) // 2  # one of them is at fault: the others go on in batches as large as can be
        return [*self._group(prompts[:half], prefilled), *self._group(prompts[half:], prefilled)]

    def _chat(self, prompts: Sequence[Prompt], prefilled: bool) -> list[Generated | GenerationFailed]:
        pictures = read_pictures(prompts)
        tokenizer = self._llm.get_tokenizer()
        outputs = self._llm.chat(
            [
                prompt.messages(
                    [{"type": "image_pil", "image_pil": pictures[path]} for _, path in prompt.pictures], tokenizer
                )
                for prompt in prompts
            ],
            [self._parameters(prompt) for prompt in prompts],
            use_tqdm=False,
            chat_template_content_format="openai",
            add_generation_prompt=not prefilled,
            continue_final_message=prefilled,
        )
        return [self._read(prompt, output) for prompt, output in zip(prompts, outputs, strict=True)]

    def _pairs(self, prompts: Sequence[Prompt]) -> list[Generated | GenerationFailed]:
        """A reranker's pairs: the video first, so that its prefix is found in the cache by all queries but one."""
        if self._processor is None:
            from transformers import AutoProcessor

            self._processor = AutoProcessor.from_pretrained(
                self._options.model, revision=self._options.revision, **NO_CODE
            )
            add_pair_template(self._processor)
        clips = {prompt.frames: read_clip(prompt.frames) for prompt in prompts}
        outputs = self._llm.generate(
            [
                {
                    "prompt": pair_text(self._processor, prompt.user),
                    "multi_modal_data": {
                        "video": [
                            (clips[prompt.frames].array, {**clips[prompt.frames].metadata, "do_sample_frames": False})
                        ]
                    },
                    "mm_processor_kwargs": {"do_sample_frames": False},
                }
                for prompt in prompts
            ],
            [self._parameters(prompt) for prompt in prompts],
            use_tqdm=False,
        )
        return [self._read(prompt, output) for prompt, output in zip(prompts, outputs, strict=True)]

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
        return Generated(completion.text, finish, tokens, scores)

    def _token(self, id: int, step: Any, prefilled: bool) -> TokenScore:
        scored = prefilled or id in self._spellings.ids
        top = self._spellings.scores(step[each].logprob for each in self._spellings.ids) if scored else ()
        token = step[id].decoded_token or ""
        return TokenScore(token.encode("utf-8", "surrogatepass"), step[id].logprob, top, self._spellings.texts)
