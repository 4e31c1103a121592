"""`hardcut train`: a reranker out of a dataset, in two stages, or an embedder."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.cli.terminal import output, plain
from hardcut.pipeline.train import (
    EMBEDDING,
    Cards,
    Training,
    course_of_training,
    estimate_training,
    train_embedder,
)
from hardcut.pipeline.train import train as run_training
from hardcut.reranker.examples import COMPOSED_QUERY

if TYPE_CHECKING:
    from hardcut.embedder.learning import TrainedEmbedder
    from hardcut.reranker.estimate import Course, TrainingEstimate
    from hardcut.reranker.training import Trained


def train(training: Training, *, dry_run: bool, as_json: bool, cards: Cards) -> int:
    """Trains, or with `dry_run` says what it would take; 1 where examples were left out."""
    if training.stage == EMBEDDING and not dry_run:
        embedder = train_embedder(training)
        if int(os.environ.get("RANK", "0")) == 0:
            _print_embedder(embedder, training.out, as_json=as_json)
        return 1 if set(embedder.left_out) - {COMPOSED_QUERY} else 0
    if dry_run:
        estimate = estimate_training(training)
        course = course_of_training(training, estimate, cards)
        if as_json:
            print(json.dumps({**asdict(estimate), "course": asdict(course) if course else None}, indent=2))
        else:
            _print_estimate(estimate)
            _print_course(course)
        return 0
    trained = run_training(training)
    if int(os.environ.get("RANK", "0")) == 0:
        _print(trained, training.out, as_json=as_json)
    return 1 if set(trained.left_out) - {COMPOSED_QUERY} else 0


def _print(trained: Trained, out: Path, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"out": str(out), **asdict(trained)}, indent=2))
        return
    console = output()
    what = "groups" if trained.stage == "ranking" else "captions"
    left_out = "".join(f", {count:,} left out: {reason}" for reason, count in trained.left_out.items())
    console.print(f"examples    {trained.examples:,} {what}{left_out}{f', {trained.cut:,} cut' * bool(trained.cut)}")
    console.print(f"parameters  {trained.trainable:,} trained of {trained.parameters:,}")
    loss = "" if trained.loss is None else f", last loss {trained.loss:.4f}"
    console.print(f"steps       {trained.steps:,}{loss}")
    if trained.validation is None:
        console.print("validation  nothing to measure on: the last checkpoint is the model")
    else:
        console.print(
            f"validation  {trained.metric} {trained.validation:.4f} of the best checkpoint, which is the model"
        )
    console.print(f"model       {plain(str(out))}")


def _print_embedder(trained: TrainedEmbedder, out: Path, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"out": str(out), **asdict(trained)}, indent=2))
        return
    console = output()
    counts = ", ".join(f"{count:,} {kind}" for kind, count in trained.examples.items())
    left_out = "".join(f", {count:,} left out: {reason}" for reason, count in trained.left_out.items())
    console.print(f"examples    {counts}{left_out}")
    console.print(f"parameters  {trained.trainable:,} trained of {trained.parameters:,}")
    loss = "" if trained.loss is None else f", last loss {trained.loss:.4f}"
    console.print(f"steps       {trained.steps:,}{loss}")
    if trained.validation is None:
        console.print("validation  nothing to measure on: the last checkpoint is the model")
    else:
        console.print(f"validation  {trained.metric} {trained.validation:.4f} of the best checkpoint, the model")
    if trained.note:
        console.print(f"note        the model {trained.note}")
    console.print(f"model       {plain(str(out))}")


def _print_estimate(estimate: TrainingEstimate) -> None:
    console = output()
    console.print(f"model         {plain(estimate.model)}, {estimate.parameters:,} parameters; nothing was loaded")
    share = 100 * estimate.trainable / estimate.parameters
    console.print(f"trained       {estimate.trainable:,} parameters ({share:.2f} %)")
    console.print(f"tokens        {estimate.tokens_a_pair:,} a video with its text, {estimate.tokens_a_step:,} a step")
    if estimate.counterfactual_tokens:
        console.print(
            f"              {estimate.counterfactual_tokens:,} of a step ask counterfactuals of a video that is there; "
            f"{estimate.unpacked_tokens:,} a step if each had its video again"
        )
    parts = (estimate.weights_bytes, estimate.optimiser_bytes, estimate.activation_bytes)
    weights, optimiser, activations = (f"{part / 1e9:.1f}" for part in parts)
    fits = "fits on one card of 80 GB" if estimate.fits else "does not fit on one card of 80 GB"
    console.print(f"memory        {estimate.memory_bytes / 1e9:.1f} GB at the peak: {fits}")
    console.print(
        f"              weights {weights}, optimiser {optimiser}, activations {activations} GB, a tenth on top"
    )
    seconds, operations = estimate.seconds_a_step, estimate.flops_a_step
    console.print(f"time          {seconds:.1f} s a step ({operations:.2e} operations), on one H100")


def _print_course(course: Course | None) -> None:
    console = output()
    if course is None:
        console.print("whole         not known: no dataset is there to count")
        return
    many = f"{course.cards} x {course.card}"
    money = "" if course.money is None else f", {course.money:,.2f} at {course.price:g} an hour and card"
    fits = "" if course.fits else "; it does not fit there"
    what = f"{course.steps:,} steps over {course.examples:,} examples"
    console.print(f"whole         {what}: {course.hours:,.1f} h on {many}{money}{fits}", soft_wrap=True)
