"""Trains a reranker on a dataset, in two stages."""

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
    """A training: its model, its dataset and its folder. `start`, for ranking, is the folder of perception."""

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


def estimate_training(training: Training) -> TrainingEstimate:
    """The cost of a training. Loads no weights. Raises UsageError, MissingDependency."""
    stage, settings = _stage(training), load_settings(training.config)
    need_train()
    from hardcut.reranker.estimate import estimate

    return estimate(training.model, stage, settings.train, settings.media, settings.export.negatives_per_group)


def train(training: Training) -> Trained:
    """Trains. Goes on where it was stopped. Raises UsageError, also for a dataset that was altered, and
    MissingDependency."""
    stage, settings, cache = _stage(training), load_settings(training.config), cache_folder(training.cache)
    dataset, needed = Dataset(training.dataset), "groups" if stage == "ranking" else "captions"
    if needed not in dataset.configs:
        raise UsageError(f"{training.dataset}: no {needed} in it: name a folder that `hardcut export` wrote")
    if not training.videos.is_dir():
        raise UsageError(f"{training.videos}: no such folder of videos")
    dataset.refuse_altered(("queries", "pairs", "groups", "captions"))
    need_train()
    from hardcut.reranker.clips import Clips
    from hardcut.reranker.training import TrainJob
    from hardcut.reranker.training import train as train_stage

    clips = Clips(training.videos, cache.frames, settings.media)
    job = TrainJob(
        stage, training.model, training.out, clips, settings.train, training.revision, training.start, training.merge,
        FileDigests(cache.digests),
    )  # fmt: skip
    return train_stage(dataset, job)


def _stage(training: Training) -> Stage:
    if training.stage == "ranking":
        return "ranking"
    if training.stage != "perception":
        raise UsageError(f"{training.stage!r} is no stage of training: perception, then ranking")
    if training.start is not None:
        raise UsageError("--start is for ranking: it names what perception wrote")
    return "perception"


def need_train() -> None:
    """Raises MissingDependency where a library for training is not installed."""
    with needs("the training libraries", "train"):
        import accelerate  # noqa: F401
        import peft  # noqa: F401
        import sentence_transformers  # noqa: F401
        import torch  # noqa: F401
