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
from hardcut.reranker.mixes import Share, mixed
from hardcut.schemas.config import load_settings
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import read_run

if TYPE_CHECKING:
    from hardcut.embedder.learning import TrainedEmbedder
    from hardcut.reranker.estimate import Course, TrainingEstimate
    from hardcut.reranker.training import Trained

Stage = Literal["perception", "ranking"]
EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class Training:
    """A training: its model, its dataset and its folder. `start`, for ranking, is the folder of perception. `scores`,
    for an embedder, is a reranker's run in place of the teacher's margins. Without `videos` none is shown.
    `also`, for a reranker, are further datasets as `FOLDER` or `FOLDER=WEIGHT`, `also_videos` folders of their
    videos."""

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
    also: tuple[str, ...] = ()
    also_videos: tuple[Path, ...] = ()


def estimate_training(training: Training) -> TrainingEstimate:
    """The cost of a training. Loads no weights. Raises UsageError, MissingDependency."""
    if training.stage == EMBEDDING:
        raise UsageError("--dry-run knows what a reranker takes, and not what an embedder does: leave it out")
    stage, settings = _stage(training), load_settings(training.config)
    need_train()
    from hardcut.reranker.estimate import estimate

    return estimate(training.model, stage, settings.train, settings.media, settings.export.negatives_per_group)


@dataclass(frozen=True, slots=True)
class Cards:
    """What a training is planned for: so many cards of a name, at a price an hour and card."""

    name: str = "h100"
    count: int = 1
    price: float | None = None


def course_of_training(training: Training, told: TrainingEstimate, cards: Cards) -> Course | None:
    """Steps, hours and money of a whole training, by the dataset's rows. None where there is no dataset yet."""
    if not training.dataset.exists():
        return None
    from hardcut.reranker.estimate import course

    settings, examples = load_settings(training.config), 0.0
    config = "groups" if told.stage == "ranking" else "captions"
    for folder, weight in _datasets(training):
        dataset = Dataset(folder)
        if config not in dataset.configs:
            return None
        found = dataset.count(config, "train")
        if config == "captions":  # a long and a short one
            found += sum(1 for split, row in dataset.rows(config, ("short",)) if split == "train" and row["short"])
        examples += found * weight
    return course(told, settings.train, round(examples), cards.name, cards.count, cards.price)


def train(training: Training) -> Trained:
    """Trains. Goes on where it was stopped. Raises UsageError, also for a dataset that was altered, and
    MissingDependency."""
    stage, settings, cache = _stage(training), load_settings(training.config), cache_folder(training.cache)
    needed, shares = "groups" if stage == "ranking" else "captions", []
    for folder, weight in _datasets(training):
        dataset = Dataset(folder)
        if needed not in dataset.configs:
            raise UsageError(f"{folder}: no {needed} in it: name a folder that `hardcut export` wrote")
        dataset.refuse_altered(("queries", "pairs", "groups", "captions"))
        shares.append(Share(str(folder), dataset, weight))
    videos = _videos(training)
    need_train()
    from hardcut.reranker.training import TrainJob
    from hardcut.reranker.training import train as train_stage

    clips = Clips(videos, cache.frames, settings.media, training.also_videos)
    job = TrainJob(
        stage, training.model, training.out, clips, settings.train, training.revision, training.start, training.merge,
        FileDigests(cache.digests),
    )  # fmt: skip
    return train_stage(mixed(shares), job)


def train_embedder(training: Training) -> TrainedEmbedder:
    """Trains an embedder on a dataset, or on a .csv of triplets of TARA's form. Goes on where it was stopped. Raises as
    `train`."""
    settings, cache = load_settings(training.config), cache_folder(training.cache)
    options = settings.train.embedding
    if training.start is not None:
        raise UsageError("--start is for ranking: it names what perception wrote")
    if training.also or training.also_videos:
        raise UsageError("--also is for rerankers: an embedder is trained on one dataset, with one folder of videos")
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


def _datasets(training: Training) -> list[tuple[Path, float]]:
    """The folders of all datasets with their weights. Raises UsageError."""
    found = [(training.dataset, 1.0)]
    for told in training.also:
        folder, _, weight = told.rpartition("=") if "=" in told else (told, "", "1")
        try:
            found.append((Path(folder), float(weight)))
        except ValueError as error:
            raise UsageError(f"--also {told}: {weight!r} is no weight: give FOLDER, or FOLDER=0.5") from error
    return found


def _videos(training: Training) -> Path:
    """The folder of the dataset's videos, where it and those of further datasets are there. Raises UsageError."""
    if training.videos is None:
        raise UsageError("the folder of the videos is missing: name it with --videos")
    for folder in (training.videos, *training.also_videos):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder of videos")
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
