"""A model of text alone, where one that takes pictures is expected: it serves every role that is shown none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from hardcut.schemas.errors import UsageError
from hardcut.teacher.local.generation import ModelOptions
from hardcut.teacher.local.safe_loading import NO_CODE


class TextProcessor:
    """A tokenizer with the interface of a processor. Chat templates of text models take a message's text as a string,
    not as parts."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token

    def apply_chat_template(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> Any:
        plain = [
            {"role": message["role"], "content": "".join(part["text"] for part in message["content"])}
            for message in messages
        ]
        return self.tokenizer.apply_chat_template(plain, **options)

    def __call__(self, text: Sequence[str], **options: Any) -> Any:
        return self.tokenizer(list(text), add_special_tokens=False, **options)  # the template has them


def processor_of(options: ModelOptions) -> Any:
    """The processor of a model, with the interface of one also where the model is of text alone."""
    named = {"pretrained_model_name_or_path": options.model, "revision": options.revision, **NO_CODE}
    if type(AutoConfig.from_pretrained(**named)) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoProcessor.from_pretrained(**named)
    return TextProcessor(AutoTokenizer.from_pretrained(**named))


def load(options: ModelOptions) -> tuple[Any, Any]:
    """Processor and model, of safetensors alone and without code of theirs. Raises UsageError where pictures are to be
    shown to a model of text alone."""
    named = {"pretrained_model_name_or_path": options.model, "revision": options.revision, **NO_CODE}
    weights: dict[str, Any] = {**named, "dtype": "auto", "use_safetensors": True}
    if type(AutoConfig.from_pretrained(**named)) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoProcessor.from_pretrained(**named), AutoModelForImageTextToText.from_pretrained(**weights)
    if options.max_images or options.videos:
        raise UsageError(
            f"transformers:{options.model} is a model of text alone: set sampling.max_frames = 0 for this teacher, "
            "which is told in words what was found, or name another for the roles that look at frames"
        )
    return TextProcessor(AutoTokenizer.from_pretrained(**named)), AutoModelForCausalLM.from_pretrained(**weights)
