"""The model: a SentenceTransformer over a language model or a video-language model."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util import load_file_path
from transformers import AutoConfig, AutoTokenizer

from hardcut.embedder.prompt import PLAIN, add_one_word, has_one_word
from hardcut.reranker.model import VISION, four_bits, lora, ready_for_training
from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import TrainSettings
from hardcut.teacher.local.safe_loading import NO_CODE, not_loaded, refuse_pickled

MODULES = "modules.json"
"""What a folder has that sentence-transformers saved."""


_LANGUAGE = r"(?!.*visual).*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a vector is made from: the pooling of the tokens' vectors, and whether the prompt asks in one word.
    `alike`: the processor brings pictures and videos to the same mean and deviation. vLLM 0.32 brings videos to those
    that are given for pictures."""

    pooling: str
    one_word: bool
    alike: bool = True

    @property
    def note(self) -> str | None:
        """What of it differs from the method of the paper, or would in vLLM; None where nothing does."""
        other = [] if self.pooling == "lasttoken" else [f"pools by {self.pooling} and not by the last token"]
        other += [] if self.one_word else ["has a prompt of its own and not the one-word prompt"]
        other += [] if self.alike else ["would see videos in other colours in vLLM, which takes the means of pictures"]
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
        if _is_embedder(model, revision):
            encoder = SentenceTransformer(
                model, revision=revision, model_kwargs=given, processor_kwargs=NO_CODE, config_kwargs=NO_CODE, **NO_CODE
            )
        else:
            encoder = _bare(model, revision, given)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(not_loaded(model, error)) from error
    return encoder.eval()


def open_trainable(model: str, revision: str | None, settings: TrainSettings) -> SentenceTransformer:
    """A model to be trained: all weights of the language model, or adapters over it (lora, qlora). The vision tower is
    not trained unless videos are shown, and by an adapter only with `lora.vision`."""
    options: dict[str, Any] = {}
    if settings.method == "full":
        options["dtype"] = torch.float32  # steps of 1e-5 are lost where weights themselves are rounded to bfloat16
    elif settings.dtype != "auto":
        options["dtype"] = getattr(torch, settings.dtype)
    if settings.method == "qlora":
        options["quantization_config"] = four_bits()
    encoder = open_embedder(model, revision, options)
    network = encoder[0].model
    if settings.method == "qlora":
        ready_for_training(network)
    if settings.method == "full":
        network.requires_grad_(True)
        for name, parameter in network.named_parameters():
            parameter.requires_grad = settings.embedding.see or "visual" not in name.split(".")
    else:
        encoder[0].model = get_peft_model(network, _adapter(network, settings))
    if settings.gradient_checkpointing:
        encoder[0].model.enable_input_require_grads()
        encoder[0].model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return encoder


def save(encoder: SentenceTransformer, out: Path, base: str, revision: str | None, *, whole: bool) -> None:
    """Writes a folder that sentence-transformers loads: an adapter that names its base model, or with `whole` all
    weights, in the form that the base model has them, which is also what vLLM takes. What was not trained, such as the
    vision tower and the head of a language model, is put back as it was."""
    network = encoder[0].model
    if isinstance(network, PeftModel) and whole:
        network = network.merge_and_unload()
    before, encoder[0].model = encoder[0].model, network
    try:
        encoder.save_pretrained(str(out), create_model_card=False, safe_serialization=True)
    finally:
        encoder[0].model = before
    if whole:
        _put_back(network, out, base, revision)


def _put_back(network: Any, out: Path, base: str, revision: str | None) -> None:
    """Writes the weights as the class that the base model was saved as: one with a head, where it has one."""
    name = (AutoConfig.from_pretrained(base, revision=revision, **NO_CODE).architectures or [""])[0]
    wanted = getattr(transformers, name, None)
    if wanted is None or isinstance(network, wanted):
        return
    options = {"use_safetensors": True, "dtype": network.dtype, "revision": revision, **NO_CODE}
    full = wanted.from_pretrained(base, **options)
    inner = full.base_model
    if type(inner) is not type(network):
        raise UsageError(f"{base}: a {name} has no {type(network).__name__} in it: it cannot be written as it was")
    inner.load_state_dict(network.state_dict())
    for stale in out.glob("*.safetensors*"):
        stale.unlink()
    full.save_pretrained(str(out))


def _adapter(network: Any, settings: TrainSettings) -> LoraConfig:
    """An adapter over the language model, and with `lora.vision` over the vision tower; of a model whose layers have
    other names, over every linear layer."""
    wanted = lora(settings.lora)
    language = re.compile(_LANGUAGE)
    names = [name for name, _ in network.named_modules() if language.fullmatch(name)]
    wanted.target_modules = _LANGUAGE if names else "all-linear"
    if names and settings.lora.vision:
        wanted.target_modules = f"{_LANGUAGE}|{VISION}"
    wanted.task_type = "FEATURE_EXTRACTION"
    return wanted


def kind_of(encoder: SentenceTransformer) -> Kind:
    """How a model makes its vectors."""
    pooling = next((module.pooling_mode for module in encoder if isinstance(module, Pooling)), "none")
    name = pooling if isinstance(pooling, str) else "+".join(pooling)
    processor = getattr(encoder[0], "processor", None)
    return Kind(name, has_one_word(processor), _sees_alike(processor))


def _sees_alike(processor: Any) -> bool:
    """Whether pictures and videos are brought to the same mean and deviation, where a processor takes both."""
    pictures, videos = (getattr(processor, f"{kind}_processor", None) for kind in ("image", "video"))
    if pictures is None or videos is None:
        return True
    names = ("do_normalize", "image_mean", "image_std", "do_rescale", "rescale_factor")
    return all(getattr(pictures, name, None) == getattr(videos, name, None) for name in names)


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


def _is_embedder(model: str, revision: str | None) -> bool:
    """Whether sentence-transformers saved it as an embedder. It saves rerankers too, as ours are: opened as they are,
    these would pool by the mean, with the prompt of a pair."""
    paths = [load_file_path(model, name, revision=revision) for name in (MODULES, "config_sentence_transformers.json")]
    if paths[0] is None:
        return False
    told = {} if paths[1] is None else json.loads(Path(paths[1]).read_text("utf-8"))
    return bool(told.get("model_type", SentenceTransformer.__name__) == SentenceTransformer.__name__)


def device() -> str:
    """Where a model runs: the accelerator where there is one."""
    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
