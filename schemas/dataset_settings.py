"""The settings of a dataset: how it is laid out, and what the gate asks of it."""

from __future__ import annotations

from pydantic import Field, model_validator

from hardcut.schemas.base import Frozen


class MixSettings(Frozen):
    """Of the queries of each kind the share that a dataset keeps, chosen by hash."""

    event: float = Field(default=1.0, ge=0, le=1)
    temporal: float = Field(default=1.0, ge=0, le=1)
    negation: float = Field(default=1.0, ge=0, le=1)
    composed: float = Field(default=1.0, ge=0, le=1)
    multi_hop: float = Field(default=1.0, ge=0, le=1)
    moment: float = Field(default=1.0, ge=0, le=1)
    cause: float = Field(default=1.0, ge=0, le=1)
    count: float = Field(default=1.0, ge=0, le=1)
    spatial: float = Field(default=1.0, ge=0, le=1)
    contradiction: float = Field(default=1.0, ge=0, le=1)


class ExportSettings(Frozen):
    """How a dataset is laid out. The shares are of videos; what is left after train and validation is test."""

    train: float = Field(default=0.8, ge=0, le=1)
    validation: float = Field(default=0.1, ge=0, le=1)
    seed: int = 0
    group_by: tuple[str, ...] = Field(
        default=("event", "source"), description="metadata fields: videos that share a value stay in one split"
    )
    near_text: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="queries with texts this similar (Jaccard of 4-letter pieces) stay together",
    )
    splits: str | None = Field(
        default=None, description="splits of your own, which are kept: a .csv, .tsv or .jsonl with `id` and `split`"
    )
    split_field: str = Field(default="split", description="metadata field with a video's given split")
    min_difficulty: float | None = Field(
        default=None, ge=0, le=1, description="queries of a lower measured difficulty are left out"
    )
    negatives_per_group: int = Field(default=2, ge=1, description="K of a training group: 1 positive, K negatives")
    trusted_per_group: int = Field(default=1, ge=1, description="how many of them must be trusted")
    groups_per_positive: int = Field(default=4, ge=1, description="groups a positive is in at most")
    name: str = "hardcut-dataset"
    description: str | None = Field(
        default=None, description="what the videos are and where they come from; on the card"
    )
    authors: tuple[str, ...] = Field(default=(), description="who made the dataset and answers for it; on the card")
    licence: str | None = None
    mix: MixSettings = MixSettings()

    @model_validator(mode="after")
    def _shares(self) -> ExportSettings:
        if self.train + self.validation > 1:
            raise ValueError("train and validation together are more than 1")
        if self.trusted_per_group > self.negatives_per_group:
            raise ValueError("trusted_per_group is more than negatives_per_group")
        return self


class Allowance(Frozen):
    """A finding of the gate that may be published all the same: of which check, which item, and why."""

    check: str = Field(min_length=1)
    item: str = Field(min_length=1)
    reason: str = Field(min_length=1)


class CheckSettings(Frozen):
    """The limits of the gate that a dataset passes before it is published (`hardcut check`)."""

    query_auc: float = Field(default=0.65, ge=0.5, le=1, description="label from the query's words alone")
    query_r2: float = Field(default=0.3, ge=0, le=1, description="margin from the query's words alone")
    video_auc: float = Field(default=0.85, ge=0.5, le=1, description="label from which video it is, and nothing else")
    video_r2: float = Field(default=0.5, ge=0, le=1, description="margin from which video it is, and nothing else")
    text_auc: float = Field(default=0.9, ge=0.5, le=1, description="label from the video's title and name alone")
    copied_text: float = Field(default=0.02, ge=0, le=1, description="queries that repeat their video's metadata")
    without_group: float = Field(default=0.5, ge=0, le=1, description="training queries that make no group")
    one_label: float = Field(default=0.98, ge=0.5, le=1, description="share of the more frequent label in a split")
    inexact: float = Field(default=0.2, ge=0, le=1, description="teachers' labels without exact confidence")
    unchecked: float = Field(default=0.1, ge=0, le=1, description="queries of which a filter had too little to tell")
    meaning: float = Field(
        default=0.95, gt=0, le=1, description="queries of two splits with such a cosine mean the same, with --vectors"
    )
    vectors: str | None = Field(
        default=None, exclude=True, description="vectors of the queries (`hardcut embed`), of no dataset's settings"
    )
    allow: tuple[Allowance, ...] = Field(
        default=(), description="findings that may be published, each with `check`, `item` and `reason`"
    )
