"""The two stages of training (RANKVIDEO): perception on captions, then ranking on groups. Resumable."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PrinterCallback, TrainingArguments, set_seed
from transformers.utils import logging

from hardcut.engine.files import atomic_writer
from hardcut.reranker.card import write_card
from hardcut.reranker.clips import Clips
from hardcut.reranker.examples import (
    Captioned,
    Group,
    LeftOut,
    Validation,
    read_captions,
    read_groups,
    read_validation,
    usable,
    videos_of,
)
from hardcut.reranker.facts import Tables
from hardcut.reranker.model import FIRST, SECOND, Reranker, open_reranker, prepare, save, start_from, trainable
from hardcut.reranker.trainers import (
    METRIC,
    CaptionCollator,
    GroupCollator,
    PerceptionTrainer,
    RankingTrainer,
    StageTrainer,
    ToTerminal,
)
from hardcut.reranker.validation import measure
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.training import TrainSettings

Stage = Literal["perception", "ranking"]
RESULT = "train.json"
LEFT_OUT = "left_out.jsonl"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What is trained: a stage, of which model, from which adapter of stage 1, on which videos, into which folder.
    `whole` writes all weights in place of an adapter."""

    stage: Stage
    model: str
    out: Path
    clips: Clips
    settings: TrainSettings
    revision: str | None = None
    start: Path | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training did, as `train.json` keeps it. `validation` is the nDCG@10 of the best checkpoint, which is the
    model; null where the dataset has no validation split, and then the last is. `log` are the trainer's entries."""

    stage: Stage
    digest: str
    examples: int
    left_out: int
    cut: int
    steps: int
    trainable: int
    parameters: int
    loss: float | None
    validation: float | None
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Work:
    """What a stage brings to the trainer."""

    trainer: type[StageTrainer]
    examples: Sequence[Group] | Sequence[Captioned]
    collator: Any
    left_out: list[LeftOut]
    options: dict[str, Any]
    cut: int = 0


def train(tables: Tables, job: TrainJob) -> Trained:
    """Trains one stage and writes the model to `job.out`; the same again goes on after the last checkpoint, or gives
    the result of what is done.

    Raises UsageError where the folder holds another training, or the dataset nothing to train on.
    """
    key = _digest(tables, job)
    done = _done(job.out, key)
    if done is not None:
        return done
    logging.set_verbosity_error()
    set_seed(job.settings.seed)  # a new adapter is drawn before the trainer would do so
    reranker = open_reranker(job.model, job.revision, job.settings)
    if job.start is not None:
        start_from(reranker, job.start, job.settings.ranking.start if job.stage == "ranking" else "stacked")
    prepare(reranker, job.settings, FIRST if job.stage == "perception" else SECOND)
    work = _perception(tables, job, reranker) if job.stage == "perception" else _ranking(tables, job, reranker)
    if not work.examples:
        raise UsageError(f"nothing to train on: {len(work.left_out)} examples were left out, see {job.out / LEFT_OUT}")
    validation = _validation(tables, job, work.left_out)
    frames = job.settings.ranking.frames
    arguments = _arguments(job, len(work.examples), validation is not None)
    trainer = work.trainer(
        model=reranker.network,
        args=arguments,
        train_dataset=list(work.examples),
        eval_dataset=["ranked as a whole"] if validation else None,
        data_collator=work.collator,
        measure=(lambda: measure(reranker, validation, job.clips, frames, trainer.accelerator)) if validation else None,
        **work.options,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ToTerminal())
    counts = trainable(reranker.network)
    trainer.train(resume_from_checkpoint=_last_checkpoint(job.out / CHECKPOINTS))
    trained = Trained(
        stage=job.stage,
        digest=key,
        examples=len(work.examples),
        left_out=len(work.left_out),
        cut=work.cut,
        steps=trainer.state.global_step,
        trainable=counts[0],
        parameters=counts[1],
        loss=next((entry["loss"] for entry in reversed(trainer.state.log_history) if "loss" in entry), None),
        validation=trainer.state.best_metric,
        log=[_plain(entry) for entry in trainer.state.log_history],
    )
    if trainer.is_world_process_zero():
        _write(reranker, job, trained, work.left_out)
    trainer.accelerator.wait_for_everyone()
    return trained


def _write(reranker: Reranker, job: TrainJob, trained: Trained, left_out: Sequence[LeftOut]) -> None:
    whole = job.whole or (job.start is not None and not reranker.adapters) or _folded(job)
    reranker.network.eval()
    save(reranker, job.out, whole=whole)
    with atomic_writer(job.out / LEFT_OUT) as file:
        file.writelines(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in left_out)
    write_card(job.out, trained.stage, job.model, job.settings, asdict(trained))
    with atomic_writer(job.out / RESULT) as file:
        json.dump(asdict(trained), file, indent=2)


def _folded(job: TrainJob) -> bool:
    """Whether stage 1's adapter went into the weights, so that the base model alone does not do."""
    return job.start is not None and job.stage == "ranking" and job.settings.ranking.start == "merged"


def _ranking(tables: Tables, job: TrainJob, reranker: Reranker) -> _Work:
    settings = job.settings.ranking
    groups, left_out = read_groups(tables, settings.loss.soft_labels)
    groups, missing = usable(groups, job.clips.prepare(videos_of(groups)))
    collator = GroupCollator(reranker.processor, job.clips, settings.frames)
    options = {"reranker": reranker, "loss": settings.loss}
    return _Work(RankingTrainer, groups, collator, left_out + missing, options)


def _perception(tables: Tables, job: TrainJob, reranker: Reranker) -> _Work:
    captions = read_captions(tables)
    missing = job.clips.prepare(videos_of((), captions))
    left_out = [LeftOut(video, "missing_video", why) for video, why in missing.items()]
    kept = [each for each in captions if each.video.video_id not in missing]
    collator = CaptionCollator(reranker.processor, job.clips, job.settings)
    cut = sum(len(collator.tokens(each)) > job.settings.perception.max_caption_tokens for each in kept)
    return _Work(PerceptionTrainer, kept, collator, left_out, {}, cut)


def _validation(tables: Tables, job: TrainJob, left_out: list[LeftOut]) -> Validation | None:
    """The validation split without the videos that are not there, which are named."""
    found = read_validation(tables)
    missing = job.clips.prepare(found.videos[video] for video in sorted(found.videos))
    left_out += [LeftOut(video, "missing_video", f"validation: {why}") for video, why in missing.items()]
    qrels = {
        query: kept
        for query, grades in found.qrels.items()
        if (kept := {video: grade for video, grade in grades.items() if video not in missing})
    }
    return Validation(found.queries, found.videos, qrels) if qrels else None


def _arguments(job: TrainJob, examples: int, measured: bool) -> TrainingArguments:
    settings = job.settings
    stage = settings.perception if job.stage == "perception" else settings.ranking
    batch = settings.perception.batch if job.stage == "perception" else settings.ranking.groups
    every = min(settings.save_steps, max(1, math.ceil(examples / (batch * stage.accumulate) * stage.epochs)))
    when: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": every} if measured else {"eval_strategy": "no"}
    if measured:
        when |= {"load_best_model_at_end": True, "metric_for_best_model": METRIC, "greater_is_better": True}
    return TrainingArguments(
        output_dir=str(job.out / CHECKPOINTS),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=stage.accumulate,
        num_train_epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch",
        seed=settings.seed,
        data_seed=settings.seed,
        gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        bf16=torch.cuda.is_available() and settings.dtype != "float32",
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        **when,
    )


def _last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: its state is what is written last."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json") if _is_json(path)]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except ValueError:
        return False
    return True


def _digest(tables: Tables, job: TrainJob) -> str:
    """Names a training by what can change its result."""
    rows = [row["group_id"] for split, row in tables.rows("groups", ("group_id",)) if split == "train"]
    captions = [row["caption_id"] for split, row in tables.rows("captions", ("caption_id",)) if split == "train"]
    told = job.settings.model_dump(mode="json")
    start = None if job.start is None else _start_digest(job.start)
    media = job.clips.media.model_dump(mode="json")
    return digest(job.stage, job.model, job.revision, start, told, media, sorted(rows), sorted(captions))


def _start_digest(folder: Path) -> str:
    try:
        return str(json.loads((folder / RESULT).read_text("utf-8"))["digest"])
    except (OSError, ValueError, KeyError):
        return str(folder)


def _done(out: Path, key: str) -> Trained | None:
    """The result of a training that is done. Notes in the folder which training it is for."""
    mark = out / CHECKPOINTS / "training"
    there = mark.read_text("utf-8") if mark.is_file() else None
    if there not in (None, key) or (there is None and out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out}: holds something else, or a training with other settings or data: name another folder")
    mark.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(mark) as file:
        file.write(key)
    if not (out / RESULT).is_file():
        return None
    found = json.loads((out / RESULT).read_text("utf-8"))
    return Trained(**found)


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the log without what differs from run to run."""
    timed = ("runtime", "per_second", "flos")
    return {name: value for name, value in entry.items() if not any(part in name for part in timed)}
