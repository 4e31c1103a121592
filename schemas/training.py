"""The settings of training a reranker. The defaults are RANKVIDEO's (arXiv 2602.02444, section on training)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hardcut.schemas.base import Frozen
from hardcut.schemas.records import EvidenceKind


class LoraSettings(Frozen):
    """The adapter of `method` lora and qlora."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    vision: bool = Field(default=False, description="adapt the vision tower too, not the language model alone")


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
    teacher: float = Field(default=5.0, ge=0, description="the teacher's probability, cross-entropy")
    teacher_temperature: float = Field(default=5.0, ge=0)
    pointwise: float = Field(default=0.5, ge=0, description="the label, cross-entropy")
    pointwise_temperature: float = Field(default=1.0, ge=0)
    negative_target: float = Field(default=0.1, ge=0, le=1, description="what a negative's label counts as")
    negative_weight: float = Field(default=0.5, ge=0, description="of a negative in the pointwise term; a positive: 1")
    counterfactuals: float = Field(
        default=1.0, ge=0, description="weight of the same terms over blocks of counterfactuals"
    )
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
    start: Literal["stacked", "merged"] = Field(
        default="stacked", description="stage 1's adapter: frozen under a new one, or into the weights (full: always)"
    )
    loss: LossSettings = LossSettings()

    @property
    def blocks(self) -> int:
        """How many blocks of counterfactuals a group may have: none where they weigh nothing."""
        return self.counterfactuals if self.loss.counterfactuals else 0


class TrainSettings(Frozen):
    """How a reranker is trained, in both stages."""

    method: Literal["lora", "qlora", "full"] = "lora"
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: as the model was saved, for full float32"
    )
    gradient_checkpointing: bool = Field(default=True, description="less memory, a third more time")
    warmup: float = Field(default=0.03, ge=0, lt=1, description="share of the steps; then cosine")
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    seed: int = 0
    save_steps: int = Field(default=200, ge=1, description="steps between checkpoints, each measured on validation")
    lora: LoraSettings = LoraSettings()
    perception: PerceptionSettings = PerceptionSettings()
    ranking: RankingSettings = RankingSettings()
