"""The settings of training. The defaults are RANKVIDEO's (arXiv 2602.02444, section on training) and, for an embedder,
TARA's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hardcut.schemas.base import Frozen
from hardcut.schemas.records import EvidenceKind


class LoraSettings(Frozen):
    """The adapter of `method` lora and qlora."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    vision: bool = Field(default=False, description="adapt the vision tower too, not the language model alone")
    targets: str | tuple[str, ...] | None = Field(
        default=None, description="layers in place of these: a list of names, or a pattern of whole names"
    )


class PerceptionSettings(Frozen):
    """Stage 1: the caption of a video, token by token."""

    frames: int = Field(default=32, ge=2, description="of the stored frames at most, spread evenly")
    epochs: float = Field(default=1.0, gt=0)
    learning_rate: float = Field(default=1e-5, gt=0)
    batch: int = Field(default=1, ge=1, description="videos in one forward pass of one process")
    accumulate: int = Field(default=8, ge=1, description="forward passes that make a step")
    max_caption_tokens: int = Field(default=512, ge=8, description="a longer caption is cut, and counted")
    unseen: tuple[EvidenceKind, ...] = Field(
        default=("metadata", "speech"),
        description="claims that rest on these kinds of evidence alone are not learned: the model sees pictures",
    )


class LossSettings(Frozen):
    """The terms of stage 2: weight and temperature of each. A weight or a temperature of 0 turns a term off."""

    pairwise: float = Field(default=1.0, ge=0, description="the positive against its negatives, softmax")
    pairwise_temperature: float = Field(default=10.0, ge=0)
    hardness: float = Field(
        default=0.0, ge=0, description="negatives that score high weigh more in the pairwise term: exp(hardness s / T)"
    )
    teacher: float = Field(default=5.0, ge=0, description="the teacher's probability, cross-entropy")
    teacher_temperature: float = Field(default=5.0, ge=0)
    pointwise: float = Field(default=0.5, ge=0, description="the label, cross-entropy")
    pointwise_temperature: float = Field(default=1.0, ge=0)
    negative_target: float = Field(default=0.1, ge=0, le=1, description="what a negative's label counts as")
    negative_weight: float = Field(default=0.5, ge=0, description="of a negative in the pointwise term; a positive: 1")
    counterfactuals: float = Field(
        default=1.0, ge=0, description="weight of the same terms over blocks of counterfactuals"
    )
    listwise: float = Field(default=0.0, ge=0, description="the teacher's distribution over a group, KL divergence")
    listwise_temperature: float = Field(default=5.0, ge=0)
    margin: float = Field(default=0.0, ge=0, description="differences of scores like those of the teacher, MarginMSE")
    graded: float = Field(default=0.0, ge=0, description="grades 2, 1 and 0 of a group, ListNet with gain 2^grade - 1")
    graded_temperature: float = Field(default=1.0, ge=0)
    rationale: float = Field(default=0.0, ge=0, description="the teacher's reasoning, token by token")
    soft_labels: Literal["calibrated", "raw"] = Field(
        default="calibrated", description="calibrated: raw where nothing was calibrated; raw: the margin's sigmoid"
    )


class RankingSettings(Frozen):
    """Stage 2: groups of one positive and its negatives."""

    frames: int = Field(default=24, ge=2, description="of the stored frames at most, spread evenly")
    epochs: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=1e-5, gt=0)
    groups: int = Field(default=1, ge=1, description="groups in one forward pass of one process")
    accumulate: int = Field(default=8, ge=1, description="forward passes that make a step")
    counterfactuals: int = Field(default=2, ge=0, description="blocks of two queries on the positive's video, at most")
    composed: bool = Field(
        default=True, description="composed queries too, the video that they start from before the other"
    )
    max_rationale_tokens: int = Field(
        default=256,
        ge=8,
        description="of the teacher's reasoning, for the term rationale; what is longer is cut",
    )
    start: Literal["stacked", "merged"] = Field(
        default="stacked", description="stage 1's adapter: frozen under a new one, or into the weights (full: always)"
    )
    loss: LossSettings = LossSettings()

    @property
    def blocks(self) -> int:
        """How many blocks of counterfactuals a group may have: none where they weigh nothing."""
        return self.counterfactuals if self.loss.counterfactuals else 0


class EmbeddingLossSettings(Frozen):
    """The terms of an embedder's loss. A weight of 0 turns a term off. s is the cosine over the temperature."""

    contrastive: float = Field(default=1.0, ge=0, description="InfoNCE: the positive against all else of a batch")
    temperature: float = Field(default=0.05, gt=0)
    hardness: float = Field(
        default=0.0, ge=0, description="an example's own negatives weigh exp(hardness cos) in InfoNCE"
    )
    margin: float = Field(default=0.0, ge=0, description="differences of s like those of the teacher (MarginMSE)")
    listwise: float = Field(default=0.0, ge=0, description="the teacher's distribution over a group, KL divergence")
    teacher_temperature: float = Field(default=1.0, gt=0, description="of the teacher's margins, where they are used")


class EmbeddingSettings(Frozen):
    """An embedder, out of triplets of texts and groups. The defaults are TARA's (arXiv 2512.13511), on a single GPU."""

    data: tuple[Literal["triplets", "groups"], ...] = Field(default=("triplets",), min_length=1)
    see: bool = Field(default=False, description="show videos in training; off: their captions stand for them")
    frames: int = Field(default=16, ge=2, description="of the stored frames at most, spread evenly")
    epochs: float = Field(default=2.0, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    batch: int = Field(default=32, ge=1, description="examples that are compared with each other, in each process")
    mini_batch: int | None = Field(
        default=None, ge=1, description="of a batch so many are encoded at once; the loss is still the batch's"
    )
    accumulate: int = Field(default=1, ge=1, description="batches that make a step")
    hard_negatives: int = Field(default=1, ge=0, description="of an example at most; 0: only what others are right for")
    counterfactuals: int = Field(
        default=1, ge=0, description="blocks of two queries on the video of a group's positive, at most: examples too"
    )
    max_tokens: int = Field(default=128, ge=8, description="of a text with its prompt; what is longer is cut")
    loss: EmbeddingLossSettings = EmbeddingLossSettings()

    @model_validator(mode="after")
    def _something_is_learned(self) -> EmbeddingSettings:
        if not (self.loss.contrastive or self.loss.margin or self.loss.listwise):
            raise ValueError("all terms of the loss are off: give one a weight")
        if (self.loss.margin or self.loss.listwise) and ("groups" not in self.data or not self.hard_negatives):
            raise ValueError("a teacher's margins are those of groups and their negatives: set data and hard_negatives")
        if self.mini_batch and (self.loss.margin or self.loss.listwise):
            raise ValueError("mini_batch is for the contrastive term alone: leave it out, or the terms of a teacher")
        return self


class TrainSettings(Frozen):
    """How a reranker is trained, in both stages, and an embedder."""

    method: Literal["lora", "qlora", "full"] = "lora"
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: as the model was saved, for full float32"
    )
    profile: str | None = Field(
        default=None, description="how pairs are shown: hardcut (default), rankvideo, qwen3-vl-reranker, own"
    )
    gradient_checkpointing: bool = Field(default=True, description="less memory, a third more time")
    warmup: float = Field(default=0.03, ge=0, lt=1, description="share of the steps; then cosine")
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    seed: int = 0
    sharded: bool = Field(
        default=False, description="several processes: each holds a part of the weights (FSDP2), not all of them (DDP)"
    )
    attention: str | None = Field(
        default=None, description="sdpa, eager, flash_attention_2, ...; default: what transformers takes"
    )
    workers: int = Field(
        default=0, ge=0, description="processes that read and prepare videos while the model is at work, for each card"
    )
    trackers: tuple[str, ...] = Field(
        default=(), description="wandb, tensorboard, trackio, ...: whom transformers tells the log; install it yourself"
    )
    schedule: Literal["cosine", "plateau"] = Field(
        default="cosine",
        description="plateau: no warm-up; the rate falls to a third after half of `patience` without a better one",
    )
    patience: int = Field(
        default=0, ge=0, description="measurements without a better one that end training; 0: all epochs are trained"
    )
    save_steps: int = Field(default=200, ge=1, description="steps between checkpoints, each measured on validation")
    lora: LoraSettings = LoraSettings()
    perception: PerceptionSettings = PerceptionSettings()
    ranking: RankingSettings = RankingSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()

    @model_validator(mode="after")
    def _a_plateau_has_a_length(self) -> TrainSettings:
        if self.schedule == "plateau" and self.patience < 2:
            raise ValueError('schedule "plateau": the rate falls after half of patience: set patience to 2 or more')
        return self
