"""The model: a CrossEncoder of sentence-transformers over a video-language model, and its adapters.

`encoder[0]` holds the network and its processor, `encoder[1]` is LogitScore: s = logit(yes) - logit(no), RANKVIDEO's
score. The processor's chat template is taught pairs before anything else happens, so training, saving and scoring share
one prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from torch import Tensor
from transformers import AutoConfig

from hardcut.reranker.packing import ENDS, unpacked
from hardcut.reranker.sharding import wants_shards
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import LoraSettings, TrainSettings
from hardcut.teacher.local.pair_prompt import add_pair_template
from hardcut.teacher.local.safe_loading import NO_CODE, not_loaded, refuse_pickled

FIRST, SECOND, BOTH = "perception", "ranking", "both"
TRAINED = ("qwen2_5_vl", "qwen3")
"""What the types of models begin with that are trained."""
_LANGUAGE = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
VISION = r".*visual\.(blocks|merger|deepstack_merger_list).*\.(qkv|proj|linear_fc1|linear_fc2)"


_SAMPLING = {"do_sample_frames": True, "fps": 1000.0}
"""What a saved model does with the file of a video: more frames a second than there are, hence `max_frames` of them,
evenly spread, as in training; with an array of no more frames than that: nothing."""


@dataclass(slots=True)
class Reranker:
    """A reranker in the making. `network` is what is trained: the model of `encoder`, wrapped where it has adapters;
    `adapters` are their names, the last one trainable."""

    encoder: CrossEncoder
    network: Any
    adapters: tuple[str, ...] = ()

    @property
    def processor(self) -> Any:
        return self.encoder[0].processor

    @property
    def quantized(self) -> bool:
        """Whether the weights beneath the adapters have four bits."""
        return bool(getattr(self.encoder[0].model, "is_loaded_in_4bit", False))

    @property
    def answers(self) -> tuple[int, int]:
        """The ids of the tokens yes and no."""
        return self.encoder[1].true_token_id, self.encoder[1].false_token_id

    def scores(self, network: Any, inputs: Any) -> Tensor:
        """The scores of pairs, [pairs], in rows of their own or packed (`packed_inputs`); `network` is `self.network`
        or what a trainer wrapped it in."""
        if ENDS in inputs:
            rows, columns = inputs[ENDS].unbind(1)
            columns, at = columns.unique(return_inverse=True)
            logits = network(**unpacked(self.network, inputs), logits_to_keep=columns).logits[rows, at][:, None]
        else:
            logits = network(**inputs, logits_to_keep=1).logits
        scores: Tensor = self.encoder[1]({"causal_logits": logits})["scores"]
        return scores[:, 0]


def open_reranker(model: str, revision: str | None, settings: TrainSettings) -> Reranker:
    """A video-language model as a reranker without adapters. Only safetensors are read, and none of its code is run.

    Raises UsageError where the model cannot be loaded or has no single tokens for yes and no.
    """
    options: dict[str, Any] = {"dtype": _dtype(settings), "use_safetensors": True, "revision": revision, **NO_CODE}
    refuse_pickled(model)
    _refuse_other_families(model, revision)
    if settings.attention is not None:
        options["attn_implementation"] = settings.attention
    if settings.method == "qlora":
        options["quantization_config"] = four_bits(in_parts=wants_shards(settings.sharded))
    try:
        transformer = Transformer(
            model,
            transformer_task="any-to-any",
            model_kwargs=options,
            processor_kwargs={"revision": revision, **NO_CODE},
            config_kwargs={"revision": revision, **NO_CODE},
            processing_kwargs={"video": _SAMPLING},  # type: ignore[typeddict-item,unused-ignore]
        )
    except (OSError, ValueError, ImportError) as error:  # the last: an attention, or a family's processor
        raise UsageError(not_loaded(model, error)) from error
    if settings.method == "qlora":
        ready_for_training(transformer.model)
    add_pair_template(transformer.processor, settings.profile)
    transformer.processor.video_processor.max_frames = settings.ranking.frames
    answers = [transformer.tokenizer.encode(word, add_special_tokens=False) for word in ("yes", "no")]
    if any(len(ids) != 1 for ids in answers):
        raise UsageError(f"{model}: its tokenizer has no single tokens for yes and no, which a reranker needs")
    score = LogitScore(answers[0][0], answers[1][0])
    encoder = CrossEncoder(modules=[transformer, score], activation_fn=torch.nn.Identity())
    return Reranker(encoder, transformer.model)


def _refuse_other_families(model: str, revision: str | None) -> None:
    """Raises UsageError for a family that is scored and not trained here, before its weights are read."""
    try:
        config = AutoConfig.from_pretrained(model, revision=revision, **NO_CODE)
    except (OSError, ValueError):
        return  # whoever loads it says why
    if not config.model_type.startswith(TRAINED):
        raise UsageError(
            f"{model}: of the family {config.model_type}, whose processor or captions training here does not know; it "
            f"is scored by `hardcut rerank`. Trained are Qwen2.5-VL and Qwen3-VL"
        )


def make_trainable(reranker: Reranker, settings: TrainSettings, name: str) -> None:
    """Makes it trainable: all weights, or a new adapter on top of those that it has, which stay as they are."""
    if settings.method == "full":
        reranker.network.requires_grad_(True)
        return
    config = lora(settings.lora)
    try:
        if reranker.adapters:
            reranker.network.add_adapter(name, config)
        else:
            reranker.network = get_peft_model(reranker.network, config, adapter_name=name)
    except ValueError as error:
        raise UsageError(f"train.lora.targets {settings.lora.targets!r}: {error}") from error
    reranker.adapters = (*reranker.adapters, name)
    reranker.network.base_model.set_adapter(list(reranker.adapters))
    for parameter_name, parameter in reranker.network.named_parameters():
        parameter.requires_grad = f".{name}." in parameter_name


def load_stage_one(reranker: Reranker, folder: Path, *, merged: bool) -> None:
    """Takes the adapter that stage 1 left in `folder`: merged into the weights, or frozen beneath what comes.

    Raises UsageError where there is none, or where the weights have four bits and cannot take it in.
    """
    if not (folder / "adapter_config.json").is_file():
        raise UsageError(f"{folder}: no adapter of a first stage in it; a whole model is named with --model")
    refuse_pickled(folder)
    if merged and reranker.quantized:
        raise UsageError("train.ranking.start merged would round stage 1 to four bits: use stacked with qlora")
    try:
        network = PeftModel.from_pretrained(reranker.network, str(folder), adapter_name=FIRST)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise UsageError(f"{folder}: its adapter does not fit the model: {error}") from error
    if merged:
        reranker.network = network.merge_and_unload()
    else:
        reranker.network, reranker.adapters = network, (FIRST,)


def save(reranker: Reranker, out: Path, *, whole: bool) -> None:
    """Writes a folder that `CrossEncoder(path)` loads: an adapter that names its base model, or with `whole` all
    weights, which is also what vLLM takes. Stacked adapters are written as one, exactly (ranks add up)."""
    network = reranker.network
    if isinstance(network, PeftModel):
        names = list(reranker.adapters)
        if whole:
            network = network.merge_and_unload(adapter_names=names)
        elif len(names) > 1:
            network.add_weighted_adapter(names, [1.0] * len(names), BOTH, combination_type="cat")
            network.base_model.set_adapter([BOTH])
            for name in names:
                network.delete_adapter(name)
            network = _renamed(network, BOTH)
        elif names != ["default"]:
            network = _renamed(network, names[0])
    module = reranker.encoder[0]
    before, module.model = module.model, network
    try:
        reranker.encoder.save_pretrained(str(out), create_model_card=False, safe_serialization=True)
    finally:
        module.model = before


def trainable(network: Any) -> tuple[int, int]:
    """How many parameters are trained, and how many there are."""
    every = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(count for count, trained in every if trained), sum(count for count, _ in every)


def _renamed(network: Any, name: str) -> Any:
    """The adapter as `default`, whose files peft puts into the folder itself and not below it."""
    network.add_adapter("default", network.peft_config[name])
    state = {
        key.replace(f".{name}.", ".default."): value
        for key, value in network.state_dict().items()
        if f".{name}." in key
    }
    network.load_state_dict(state, strict=False)
    network.base_model.set_adapter(["default"])
    network.delete_adapter(name)
    return network


def lora(settings: LoraSettings) -> LoraConfig:
    """The adapter that settings ask for."""
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_targets(settings),
        task_type="CAUSAL_LM",
    )


def _targets(settings: LoraSettings) -> str | list[str]:
    if settings.targets is not None:
        return settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    return f"{_LANGUAGE}|{VISION}" if settings.vision else _LANGUAGE


def _dtype(settings: TrainSettings) -> Any:
    if settings.dtype == "auto":  # steps of 1e-5 are lost where weights themselves are rounded to bfloat16
        return torch.float32 if settings.method == "full" else "auto"
    return getattr(torch, settings.dtype)


def ready_for_training(network: Any) -> None:
    """Weights of four bits without gradients, the others in float32 (Dettmers et al., QLoRA, arXiv 2305.14314)."""
    from bitsandbytes.nn import Linear4bit

    prepare_model_for_kbit_training(network, use_gradient_checkpointing=False)
    for module in network.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False  # the first evaluation would pack it into what has no gradient


def four_bits(*, in_parts: bool = False) -> Any:
    """How weights are loaded in four bits. `in_parts`: kept as numbers of 16 bits, four in one, since FSDP2 parts no
    integers: each process would have all of them. Raises MissingDependency without bitsandbytes."""
    with needs("bitsandbytes", "qlora", 'train.method = "lora"'):
        import bitsandbytes  # noqa: F401
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16 if in_parts else torch.uint8,
    )
