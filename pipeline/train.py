"""A reranker out of a dataset, in two stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hardcut.engine.file_digests import FileDigests
from hardcut.pipeline.cache import cache_folder
from hardcut.publish.dataset import Dataset
from hardcut.schemas.config import load_settings
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import UsageError

if TYPE_CHECKING:
    from hardcut.reranker.estimate import TrainingEstimate
    from hardcut.reranker.training import Trained

Stage = Literal["perception", "ranking"]


@dataclass(frozen=True, slots=True)
class Training:
    """What is trained, on what, and where it goes. `start` is what perception wrote, for ranking."""

    stage: str
    dataset: Path
    videos: Path
    model: str
    out: Path
    revision: str | None = None
    start: Path | None = None
    config: Path | None = None
    cache: Path | None = None
    merge: bool = False


def estimate_training(asked: Training) -> TrainingEstimate:
    """What it would take; loads no weights. Raises UsageError, MissingDependency."""
    stage, settings = _stage(asked), load_settings(asked.config)
    need_train()
    from hardcut.reranker.estimate import estimate

    return estimate(asked.model, stage, settings.train, settings.media, settings.export.negatives_per_group)


def train(asked: Training) -> Trained:
    """Trains, going on where it was stopped. Raises UsageError, also for a dataset that was altered, and
    MissingDependency."""
    stage, settings, cache = _stage(asked), load_settings(asked.config), cache_folder(asked.cache)
    dataset, needed = Dataset(asked.dataset), "groups" if stage == "ranking" else "captions"
    if needed not in dataset.configs:
        raise UsageError(f"{asked.dataset}: no {needed} in it: name a folder that `hardcut export` wrote")
    if not asked.videos.is_dir():
        raise UsageError(f"{asked.videos}: no such folder of videos")
    dataset.refuse_altered(("queries", "pairs", "groups", "captions"))
    need_train()
    from hardcut.reranker.clips import Clips
    from hardcut.reranker.training import TrainJob
    from hardcut.reranker.training import train as train_stage

    clips = Clips(asked.videos, cache.frames, settings.media)
    job = TrainJob(
        stage, asked.model, asked.out, clips, settings.train, asked.revision, asked.start, asked.merge,
        FileDigests(cache.digests),
    )  # fmt: skip
    return train_stage(dataset, job)


def _stage(asked: Training) -> Stage:
    if asked.stage == "ranking":
        return "ranking"
    if asked.stage != "perception":
        raise UsageError(f"{asked.stage!r} is no stage of training: perception, then ranking")
    if asked.start is not None:
        raise UsageError("--start is for ranking: it names what perception wrote")
    return "perception"


def need_train() -> None:
    """Raises MissingDependency where what trains is not installed."""
    with needs("the training libraries", "train"):
        import accelerate  # noqa: F401
        import peft  # noqa: F401
        import sentence_transformers  # noqa: F401
        import torch  # noqa: F401
