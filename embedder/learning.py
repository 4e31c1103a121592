"""Trains an embedder on triplets of texts and on groups. Resumable."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.training_args import BatchSamplers, MultiDatasetBatchSamplers
from transformers import PrinterCallback, set_seed

from hardcut.embedder.examples import EmbeddingData, read_examples
from hardcut.embedder.measuring import Measured, measured_by
from hardcut.embedder.network import kind_of, open_embedder, open_trainable, save
from hardcut.embedder.objective import Objective
from hardcut.embedder.trainer import EmbeddingTrainer, Items, collator, tables
from hardcut.engine.file_digests import FileDigests
from hardcut.engine.files import atomic_writer
from hardcut.engine.scratch import scratch_folder
from hardcut.reranker.card import write_card
from hardcut.reranker.clips import Clips
from hardcut.reranker.facts import DatasetTables
from hardcut.reranker.identity import RESULT
from hardcut.reranker.margins import refuse_compared
from hardcut.reranker.model import trainable
from hardcut.reranker.resuming import (
    CHECKPOINTS,
    LEFT_OUT,
    finished,
    last_checkpoint,
    note_left_out,
    one_first,
    plain_entry,
    quieten,
)
from hardcut.reranker.trainers import ToTerminal
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.training import TrainSettings
from hardcut.schemas.trec import Run
from hardcut.teacher.model_digest import model_identity

STAGE = "embedding"
UNREADABLE, UNREADABLE_FILE = "unreadable_video", "unreadable.jsonl"


@dataclass(frozen=True, slots=True)
class EmbedderJob:
    """What is trained: a model, on which videos, into which folder. `scores` are a reranker's, in place of the
    teacher's margins. `whole` writes all weights in place of an adapter."""

    model: str
    out: Path
    clips: Clips
    settings: TrainSettings
    revision: str | None = None
    scores: Run | None = None
    whole: bool = False
    digests: FileDigests | None = None


@dataclass(frozen=True, slots=True)
class TrainedEmbedder:
    """What a training did, as `train.json` keeps it. `examples` and `left_out` are counted by kind and by reason.
    `validation` is what the best checkpoint, which is the model, reached by `metric`; null where there is no such
    split, and then the last is. `note` says what of pooling and prompt is not that of the method; empty where all is.
    """

    stage: str
    digest: str
    whole: bool
    media: dict[str, Any]
    frames: int
    examples: dict[str, int]
    left_out: dict[str, int]
    steps: int
    trainable: int
    parameters: int
    loss: float | None
    metric: str | None
    validation: float | None
    note: str
    log: list[dict[str, Any]] = field(default_factory=list)


def train_embedder(given: DatasetTables, job: EmbedderJob) -> TrainedEmbedder:
    """Trains and writes the model to `job.out`; the same again goes on after the last checkpoint, or gives the result
    of what is done. With another `whole` the model is written anew and nothing is trained again.

    Raises UsageError where the folder holds another training, or the dataset nothing to train on.
    """
    data = read_examples(given, job.settings.embedding, job.scores)
    key = _digest(data, job)
    with one_first():
        found = finished(job.out, key)
    done = None if found is None else TrainedEmbedder(**found)
    if done is not None and done.whole == _whole(job):
        return done
    quieten()
    videos = data.videos  # once: it goes through all examples
    data = data.without(job.clips.prepare(videos[video] for video in sorted(videos)))
    note_left_out(job.out, data.left_out)
    loss = job.settings.embedding.loss
    if loss.margin or loss.listwise:
        refuse_compared(data.mixed_groups, loss, "train.embedding.loss")
        if data.mixed and PartialState().is_main_process:
            print(data.mixed, file=sys.stderr)
    if not data.examples:
        raise UsageError(f"nothing to train on: what was left out of the split train is in {job.out / LEFT_OUT}")
    set_seed(job.settings.seed)  # a new adapter is drawn before the trainer would do so
    encoder = open_trainable(job.model, job.revision, job.settings)
    counts = trainable(encoder)
    trainer, items = _trainer(data, job, encoder)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ToTerminal())
    trainer.train(resume_from_checkpoint=last_checkpoint(job.out / CHECKPOINTS))
    trained = _trained(data, job, key, trainer, items, counts, encoder)
    if trainer.is_world_process_zero():
        _write(encoder, job, trained)
    trainer.accelerator.wait_for_everyone()
    return trained


def _trainer(data: EmbeddingData, job: EmbedderJob, encoder: SentenceTransformer) -> tuple[EmbeddingTrainer, Items]:
    settings = job.settings.embedding
    items = Items(data, encoder, job.clips, settings.frames, settings.max_tokens)
    rows = tables(data.examples)
    losses = {name: Objective(encoder, settings, margins="margins" in name) for name in rows}
    off = sorted(name for name, loss in losses.items() if loss.is_off)
    if len(off) == len(losses):
        raise UsageError("no group has the margins that train.embedding.loss asks for: give contrastive a weight")
    for name in off:  # examples without margins, where only these count
        del rows[name], losses[name]
    held = data.validation
    trainer = EmbeddingTrainer(
        model=encoder,
        args=_arguments(job, rows.num_rows.values(), measured_by(held)),
        train_dataset=rows,
        loss=losses,
        evaluator=Measured(held, items.encode) if measured_by(held) else None,
        data_collator=collator(items),
    )
    return trainer, items


def _arguments(job: EmbedderJob, rows: Sequence[int] | Any, metric: str | None) -> SentenceTransformerTrainingArguments:
    settings, embedding = job.settings, job.settings.embedding
    batches = sum(math.ceil(count / embedding.batch) for count in rows)
    every = min(settings.save_steps, max(1, math.ceil(batches / embedding.accumulate * embedding.epochs)))
    choice: dict[str, Any] = {"eval_strategy": "no"}
    if metric is not None:
        choice = {
            "eval_strategy": "steps", "eval_steps": every, "load_best_model_at_end": True,
            "metric_for_best_model": metric, "greater_is_better": True,
        }  # fmt: skip
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(job.out / CHECKPOINTS),
        use_cpu=not torch.accelerator.is_available(),
        per_device_train_batch_size=embedding.batch,
        gradient_accumulation_steps=embedding.accumulate,
        num_train_epochs=embedding.epochs,
        learning_rate=embedding.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch",
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=torch.cuda.is_available() and settings.dtype != "float32",
        batch_sampler=BatchSamplers.NO_DUPLICATES,  # what is right for one would be wrong for another
        multi_dataset_batch_sampler=MultiDatasetBatchSamplers.PROPORTIONAL,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        logging_steps=1,
        report_to="none",
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        **choice,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several cards are for several processes
    return arguments


def _trained(
    data: EmbeddingData,
    job: EmbedderJob,
    key: str,
    trainer: EmbeddingTrainer,
    items: Items,
    counts: tuple[int, int],
    encoder: SentenceTransformer,
) -> TrainedEmbedder:
    """What a trainer that has ended did. The videos that could not be read on the way are written down."""
    mine = items.reader.unreadable
    everywhere = gather_object([mine]) if trainer.accelerator.num_processes > 1 else [mine]
    unreadable = {video: why for each in everywhere for video, why in each.items()}
    if unreadable and trainer.is_world_process_zero():
        with atomic_writer(job.out / UNREADABLE_FILE) as file:
            file.writelines(json.dumps({"item": id, "detail": unreadable[id]}) + "\n" for id in sorted(unreadable))
    left_out = Counter(each.reason for each in data.left_out)
    log = trainer.state.log_history
    return TrainedEmbedder(
        stage=STAGE,
        digest=key,
        whole=_whole(job),
        media=job.clips.media.model_dump(mode="json"),
        frames=job.settings.embedding.frames,
        examples=dict(sorted(Counter(each.kind for each in data.examples).items())),
        left_out=dict(sorted(left_out.items())) | ({UNREADABLE: len(unreadable)} if unreadable else {}),
        steps=trainer.state.global_step,
        trainable=counts[0],
        parameters=counts[1],
        loss=next((entry["loss"] for entry in reversed(log) if "loss" in entry), None),
        metric=measured_by(data.validation),
        validation=trainer.state.best_metric,
        note=kind_of(encoder).note or "",
        log=[plain_entry(entry) for entry in log],
    )


def _write(encoder: SentenceTransformer, job: EmbedderJob, trained: TrainedEmbedder) -> None:
    encoder.eval()
    for stale in (*job.out.glob("*.safetensors"), *job.out.glob("adapter_config.json")):
        stale.unlink()  # an adapter beside merged weights would be applied to them once more
    if trained.whole and job.settings.method == "qlora":
        encoder = _unquantized(encoder, job)
    save(encoder, job.out, job.model, job.revision, whole=trained.whole)
    write_card(job.out, trained.stage, job.model, job.settings, asdict(trained), "hardcut.embedder")
    with atomic_writer(job.out / RESULT) as file:
        json.dump(asdict(trained), file, indent=2)


def _unquantized(encoder: SentenceTransformer, job: EmbedderJob) -> SentenceTransformer:
    """The adapter on the weights as they were saved: merged into four bits it would be rounded."""
    from peft import PeftModel

    with scratch_folder() as folder:
        encoder[0].model.save_pretrained(str(folder))
        plain = open_embedder(job.model, job.revision)
        plain[0].model = PeftModel.from_pretrained(plain[0].model, str(folder))
    return plain


def _whole(job: EmbedderJob) -> bool:
    return job.whole or job.settings.method == "full"


OF_RERANKERS = ("sharded", "profile", "attention", "workers", "trackers", "schedule", "patience")
"""Settings that an embedder's training does not read."""


def _digest(data: EmbeddingData, job: EmbedderJob) -> str:
    """Names a training by what can change its result: settings, model, and all that it takes from the dataset."""
    options = job.settings.model_dump(mode="json", exclude={"perception", "ranking", *OF_RERANKERS})
    if options["lora"]["targets"] is None:
        del options["lora"]["targets"]
    if not job.settings.embedding.loss.hardness:  # a training that an earlier version began goes on
        del options["embedding"]["loss"]["hardness"]
    media = job.clips.media.model_dump(mode="json")
    identity = model_identity(job.model, job.digests)
    used = {name: value for name, value in asdict(data).items() if name not in ("mixed", "mixed_groups")}
    return digest(STAGE, identity, job.revision, options, media, used)
