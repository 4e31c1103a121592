"""The model: a SentenceTransformer over a language model or a video-language model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoTokenizer

from hardcut.embedder.prompt import PLAIN, add_one_word, has_one_word
from hardcut.schemas.errors import UsageError
from hardcut.teacher.local.safe_loading import NO_CODE, not_loaded, refuse_pickled

MODULES = "modules.json"
"""What a folder has that sentence-transformers saved."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a vector is made from: the pooling of the tokens' vectors, and whether the prompt asks in one word."""

    pooling: str
    one_word: bool

    @property
    def note(self) -> str | None:
        """What of it differs from the method of the paper; None where nothing does."""
        other = [] if self.pooling == "lasttoken" else [f"pools by {self.pooling} and not by the last token"]
        other += [] if self.one_word else ["has a prompt of its own and not the one-word prompt"]
        return " and ".join(other) or None


def open_embedder(
    model: str, revision: str | None = None, options: dict[str, Any] | None = None
) -> SentenceTransformer:
    """A model as sentence-transformers saved it, with its own pooling and prompt. Of any other (a bare language model
    or video-language model) the last token of the one-word prompt stands for the text or video, and has length 1.

    Only safetensors are read, and none of its code is run. `options` go to the network's `from_pretrained`. Raises
    UsageError where the model cannot be loaded.
    """
    refuse_pickled(model)
    given = {"use_safetensors": True, "dtype": "auto", **(options or {}), **NO_CODE}
    try:
        if _is_saved_whole(model, revision):
            encoder = SentenceTransformer(
                model, revision=revision, model_kwargs=given, processor_kwargs=NO_CODE, config_kwargs=NO_CODE, **NO_CODE
            )
        else:
            encoder = _bare(model, revision, given)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(not_loaded(model, error)) from error
    return encoder.eval()


def kind_of(encoder: SentenceTransformer) -> Kind:
    """How a model makes its vectors."""
    pooling = next((module.pooling_mode for module in encoder if isinstance(module, Pooling)), "none")
    name = pooling if isinstance(pooling, str) else "+".join(pooling)
    return Kind(name, has_one_word(getattr(encoder[0], "processor", None)))


def sees_videos(encoder: SentenceTransformer) -> bool:
    """Whether a model takes videos."""
    return "video" in getattr(encoder[0], "modality_config", {}) or (
        "message" in getattr(encoder[0], "modality_config", {})
        and getattr(encoder[0].processor, "video_processor", None) is not None
    )


def _bare(model: str, revision: str | None, options: dict[str, Any]) -> SentenceTransformer:
    named = {"revision": revision, **NO_CODE}
    tokenizer = AutoTokenizer.from_pretrained(model, **named)
    template = {} if tokenizer.chat_template else {"chat_template": PLAIN}
    transformer = Transformer(
        model,
        model_kwargs={"revision": revision, **options},
        processor_kwargs={**named, **template, "padding_side": "left"},
        config_kwargs=named,
    )
    sees = getattr(transformer.processor, "video_processor", None) is not None
    add_one_word(transformer.processor, sees=sees)
    if transformer.tokenizer.pad_token is None:
        transformer.tokenizer.pad_token = transformer.tokenizer.eos_token
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    return SentenceTransformer(modules=[transformer, pooling, Normalize()])


def _is_saved_whole(model: str, revision: str | None) -> bool:
    """Whether sentence-transformers saved it."""
    if Path(model).is_dir():
        return (Path(model) / MODULES).is_file()
    from sentence_transformers.util import is_sentence_transformer_model

    return bool(is_sentence_transformer_model(model, revision=revision))


def device() -> str:
    """Where a model runs: the accelerator where there is one."""
    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
