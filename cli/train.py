"""`hardcut train`: a reranker out of a dataset, in two stages."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hardcut.cli.paths import cache_folder
from hardcut.cli.terminal import output, plain
from hardcut.publish.dataset import Dataset
from hardcut.reranker.examples import COMPOSED_QUERY
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import MissingDependency, UsageError

if TYPE_CHECKING:
    from hardcut.reranker.estimate import TrainingEstimate
    from hardcut.reranker.training import Trained

Stage = Literal["perception", "ranking"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command."""

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


def train(asked: Asked, *, dry_run: bool, as_json: bool) -> int:
    """Trains, or with `dry_run` says what it would take. Raises UsageError, MissingDependency."""
    stage = _stage(asked.stage)
    settings = load_settings(asked.config)
    if asked.start is not None and stage == "perception":
        raise UsageError("--start is for ranking: it names what perception wrote")
    if dry_run:
        need_train()
        from hardcut.reranker.estimate import estimate

        negatives = settings.export.negatives_per_group
        told = estimate(asked.model, stage, settings.train, settings.media, negatives)
        if as_json:
            print(json.dumps(asdict(told), indent=2))
        else:
            _print_estimate(told)
        return 0
    dataset, needed = Dataset(asked.dataset), "groups" if stage == "ranking" else "captions"
    if needed not in dataset.configs:
        raise UsageError(f"{asked.dataset}: no {needed} in it: name a folder that `hardcut export` wrote")
    if not asked.videos.is_dir():
        raise UsageError(f"{asked.videos}: no such folder of videos")
    need_train()
    from hardcut.reranker.clips import Clips
    from hardcut.reranker.training import TrainJob
    from hardcut.reranker.training import train as train_stage

    clips = Clips(asked.videos, cache_folder(asked.cache).frames, settings.media)
    job = TrainJob(stage, asked.model, asked.out, clips, settings.train, asked.revision, asked.start, asked.merge)
    trained = train_stage(dataset, job)
    if int(os.environ.get("RANK", "0")) == 0:
        _print(trained, asked.out, as_json=as_json)
    return 1 if set(trained.left_out) - {COMPOSED_QUERY} else 0


def _stage(name: str) -> Stage:
    if name == "perception":
        return "perception"
    if name == "ranking":
        return "ranking"
    raise UsageError(f"{name!r} is no stage of training: perception, then ranking")


def need_train() -> None:
    """Raises MissingDependency where what trains is not installed."""
    try:
        import accelerate  # noqa: F401
        import peft  # noqa: F401
        import sentence_transformers  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependency(f'{error.name} is not installed: pip install "hardcut[train]"') from error


def _print(trained: Trained, out: Path, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"out": str(out), **asdict(trained)}, indent=2))
        return
    console = output()
    what = "groups" if trained.stage == "ranking" else "captions"
    told = "".join(f", {count:,} left out: {reason}" for reason, count in trained.left_out.items())
    console.print(f"examples    {trained.examples:,} {what}{told}{f', {trained.cut:,} cut' * bool(trained.cut)}")
    console.print(f"parameters  {trained.trainable:,} trained of {trained.parameters:,}")
    loss = "" if trained.loss is None else f", last loss {trained.loss:.4f}"
    console.print(f"steps       {trained.steps:,}{loss}")
    if trained.validation is None:
        console.print("validation  nothing to measure on: the last checkpoint is the model")
    else:
        measure = "nDCG@10" if trained.stage == "ranking" else "loss"
        console.print(f"validation  {measure} {trained.validation:.4f} of the best checkpoint, which is the model")
    console.print(f"model       {plain(str(out))}")


def _print_estimate(told: TrainingEstimate) -> None:
    console = output()
    console.print(f"model         {plain(told.model)}, {told.parameters:,} parameters; nothing was loaded")
    console.print(f"trained       {told.trainable:,} parameters ({100 * told.trainable / told.parameters:.2f} %)")
    console.print(f"tokens        {told.tokens_a_pair:,} a video with its text, {told.tokens_a_step:,} a step")
    parts = (told.weights_bytes, told.optimiser_bytes, told.activation_bytes)
    weights, optimiser, activations = (f"{part / 1e9:.1f}" for part in parts)
    fits = "fits on one card of 80 GB" if told.fits else "does not fit on one card of 80 GB"
    console.print(f"memory        {told.memory_bytes / 1e9:.1f} GB at the peak: {fits}")
    console.print(
        f"              weights {weights}, optimiser {optimiser}, activations {activations} GB, a tenth on top"
    )
    console.print(f"time          {told.seconds_a_step:.1f} s a step ({told.flops_a_step:.2e} operations), on one H100")
