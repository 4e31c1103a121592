"""The settings of a stage as transformers' Trainer has them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import TrainingArguments

from hardcut.reranker.resuming import CHECKPOINTS
from hardcut.reranker.sharding import shard_arguments
from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import TrainSettings

Stage = Literal["perception", "ranking"]


def arguments(stage: Stage, out: Path, settings: TrainSettings, examples: int, metric: str | None) -> TrainingArguments:
    """Those of a stage on so many examples, whose checkpoints go below `out`. `metric`: by what the best one is chosen,
    where there is something to measure on. Raises UsageError for a schedule that needs a metric, where there is none.
    """
    chosen = settings.perception if stage == "perception" else settings.ranking
    batch = settings.perception.batch if stage == "perception" else settings.ranking.groups
    every = min(settings.save_steps, max(1, math.ceil(examples / (batch * chosen.accumulate) * chosen.epochs)))
    made = TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        use_cpu=not torch.accelerator.is_available(),
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=batch,
        prediction_loss_only=True,
        label_names=["labels"],
        gradient_accumulation_steps=chosen.accumulate,
        num_train_epochs=chosen.epochs,
        learning_rate=chosen.learning_rate,
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
        report_to=list(settings.trackers) or "none",
        run_name=out.name,
        dataloader_num_workers=settings.workers,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,  # what is trained is used in every pass
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        **_choice(metric, every),
        **_schedule(settings, metric),
        **shard_arguments(settings.sharded),
    )
    # Several cards are for several processes: in one, torch would share out rows of tensors, and patches are no pairs.
    made._n_gpu = min(1, made.n_gpu)
    return made


def _choice(metric: str | None, every: int) -> dict[str, Any]:
    """How the best checkpoint is chosen: measured every so many steps. The last one where nothing is measured."""
    if metric is None:
        return {"eval_strategy": "no"}
    return {
        "eval_strategy": "steps",
        "eval_steps": every,
        "load_best_model_at_end": True,
        "metric_for_best_model": metric,
        "greater_is_better": metric != "loss",
    }


def _schedule(settings: TrainSettings, metric: str | None) -> dict[str, Any]:
    """How the learning rate falls: with the steps, or where measurements get no better."""
    if settings.schedule == "cosine":
        return {"lr_scheduler_type": "cosine"}
    if metric is None:
        raise UsageError('train.schedule = "plateau" needs a split `validation` to measure on: take "cosine"')
    falls = {"mode": "min" if metric == "loss" else "max", "factor": 1 / 3, "threshold": 0.0, "eps": 0.0}
    falls["patience"] = settings.patience // 2 - 1  # of torch: measurements beyond which the next one has it fall
    return {"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": falls}
