"""Trains a reranker on a dataset, in two stages, or an embedder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hardcut.engine.file_digests import FileDigests
from hardcut.pipeline.cache import cache_folder
from hardcut.publish.dataset import Dataset
from hardcut.publish.formats.tara import read_csv
from hardcut.reranker.clips import Clips
from hardcut.reranker.facts import DatasetTables
from hardcut.schemas.config import load_settings
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import read_run

if TYPE_CHECKING:
    from hardcut.embedder.learning import TrainedEmbedder
    from hardcut.reranker.estimate import TrainingEstimate
    from hardcut.reranker.training import Trained

Stage = Literal["perception", "ranking"]
EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Training:
    """A training: its model, its dataset and its folder. `start`, for ranking, is the folder of perception. `scores`,
    for an embedder, is a reranker's run in place of the teacher's margins. Without `videos` none is shown."""

    stage: str
    dataset: Path
    videos: Path | None
    model: str
    out: Path
    revision: str | None = None
    start: Path | None = None
    config: Path | None = None
    cache: Path | None = None
    merge: bool = False
    scores: Path | None = None


def estimate_training(training: Training) -> TrainingEstimate:
    """The cost of a training. Loads no weights. Raises UsageError, MissingDependency."""
    if training.stage == EMBEDDING:
        raise UsageError("--dry-run knows what a reranker takes, and not what an embedder does: leave it out")
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
    videos = _videos(training)
    dataset.refuse_altered(("queries", "pairs", "groups", "captions"))
    need_train()
    from hardcut.reranker.training import TrainJob
    from hardcut.reranker.training import train as train_stage

    clips = Clips(videos, cache.frames, settings.media)
    job = TrainJob(
        stage, training.model, training.out, clips, settings.train, training.revision, training.start, training.merge,
        FileDigests(cache.digests),
    )  # fmt: skip
    return train_stage(dataset, job)


def train_embedder(training: Training) -> TrainedEmbedder:
    """Trains an embedder on a dataset, or on a .csv of triplets of TARA's form. Goes on where it was stopped. Raises as
    `train`."""
    settings, cache = load_settings(training.config), cache_folder(training.cache)
    options = settings.train.embedding
    if training.start is not None:
        raise UsageError("--start is for ranking: it names what perception wrote")
    given: DatasetTables = CsvTriplets(training.dataset)
    if training.dataset.suffix != ".csv":
        dataset = Dataset(training.dataset)
        there = [name for name in options.data if name in dataset.configs]
        if not there:
            raise UsageError(f"{training.dataset}: no {' and no '.join(options.data)} in it: see train.embedding.data")
        dataset.refuse_altered(("queries", "pairs", "groups", "captions", "triplets"))
        given = dataset
    videos = _videos(training) if options.see else training.videos or Path()
    need_train()
    from hardcut.embedder.learning import EmbedderJob
    from hardcut.embedder.learning import train_embedder as train_model

    scores = read_run(training.scores).scores if training.scores else None
    job = EmbedderJob(
        training.model, training.out, Clips(videos, cache.frames, settings.media), settings.train, training.revision,
        scores, training.merge, FileDigests(cache.digests),
    )  # fmt: skip
    return train_model(given, job)


@dataclass(frozen=True, slots=True)
class CsvTriplets:
    """A file of TARA's form (`sent0,sent1,hard_neg`) as the tables of a dataset: all of it is trained on."""

    path: Path
    configs: tuple[str, ...] = ("triplets",)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The triplets. Raises UsageError naming file and line."""
        for number, texts in enumerate(read_csv(self.path), 1):
            yield "train", {"id": f"{self.path.name}:{number:09d}", "nuance": "given", **texts._asdict()}


def _videos(training: Training) -> Path:
    if training.videos is None:
        raise UsageError("the folder of the videos is missing: name it with --videos")
    if not training.videos.is_dir():
        raise UsageError(f"{training.videos}: no such folder of videos")
    return training.videos


def _stage(training: Training) -> Stage:
    if training.stage == "ranking":
        return "ranking"
    if training.stage != "perception":
        raise UsageError(f"{training.stage!r} is no training: perception, then ranking; or embedding")
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
