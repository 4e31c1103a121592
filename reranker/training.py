"""The two stages of training (RANKVIDEO): perception on captions, then ranking on groups. Resumable."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from peft import PeftModel
from safetensors.torch import load_file
from transformers import PrinterCallback, TrainingArguments, set_seed

from hardcut.engine.file_digests import FileDigests
from hardcut.engine.files import atomic_writer
from hardcut.engine.scratch import scratch_folder
from hardcut.reranker.arguments import Stage, arguments
from hardcut.reranker.card import write_card
from hardcut.reranker.clips import Clips
from hardcut.reranker.examples import Given, PerceptionData, RankingData
from hardcut.reranker.facts import DatasetTables
from hardcut.reranker.identity import RESULT, former_identity
from hardcut.reranker.margins import refuse_compared
from hardcut.reranker.model import (
    FIRST,
    SECOND,
    Reranker,
    load_stage_one,
    make_trainable,
    open_reranker,
    save,
    trainable,
)
from hardcut.reranker.naming import named_data, named_settings
from hardcut.reranker.packing import attention_of, can_pack
from hardcut.reranker.resuming import (
    CHECKPOINTS,
    LEFT_OUT,
    best_checkpoint,
    finished,
    last_checkpoint,
    note_left_out,
    one_first,
    plain_entry,
    quieten,
    refuse_other_processes,
)
from hardcut.reranker.sharding import is_sharded, put_weights, trained_weights
from hardcut.reranker.trainers import (
    WEIGHTS,
    CaptionCollator,
    EndsAtPlateau,
    GroupCollator,
    PerceptionTrainer,
    RankingTrainer,
    StageTrainer,
    ToTerminal,
)
from hardcut.reranker.training_data import read_perception, read_ranking
from hardcut.reranker.validation import chosen_by, measure
from hardcut.schemas.errors import MissingDependency, UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.training import TrainSettings
from hardcut.teacher.local.pair_prompt import NO_REFERENCE, shows_reference
from hardcut.teacher.local.shown import shown_digest, versions
from hardcut.teacher.model_digest import model_identity

UNREADABLE, UNREADABLE_FILE = "unreadable_video", "unreadable.jsonl"
"""Videos that could not be read while it trained: the reason, and the file that names them."""


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What is trained: a stage, of which model, from which adapter of stage 1, on which videos, into which folder.
    `whole` writes all weights in place of an adapter. `digests` remembers the digests of models in folders."""

    stage: Stage
    model: str
    out: Path
    clips: Clips
    settings: TrainSettings
    revision: str | None = None
    start: Path | None = None
    whole: bool = False
    digests: FileDigests | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training did, as `train.json` keeps it. `left_out` counts by reason. `validation` is what the best
    checkpoint, which is the model, reached on the validation split by `metric`: nDCG@10 for ranking, or its mean with
    the share of blocks told apart where there are some, and for perception the loss a token of the captions; null
    where there is no such split, and then the last is. `whole`: all weights were written. `media` and `frames` are how
    videos were shown. `log` are the trainer's entries. `packed`: the queries of a video in a group went as one row;
    false also where no group has two. `shown` is a digest of how a pair is shown, with these `versions` of libraries
    (`teacher/local/shown.py`)."""

    stage: Stage
    digest: str
    whole: bool
    media: dict[str, Any]
    frames: int
    examples: int
    left_out: dict[str, int]
    cut: int
    steps: int
    trainable: int
    parameters: int
    loss: float | None
    metric: str
    validation: float | None
    log: list[dict[str, Any]] = field(default_factory=list)
    packed: bool = False
    shown: str | None = None
    versions: dict[str, str] = field(default_factory=dict)


def train(tables: DatasetTables, job: TrainJob) -> Trained:
    """Trains one stage and writes the model to `job.out`; the same again goes on after the last checkpoint, or gives
    the result of what is done. With another `whole` the model is written anew and nothing is trained again.

    Raises UsageError where the folder holds another training, or the dataset nothing to train on.
    """
    given: Given = (
        read_perception(tables, job.settings.perception.unseen)
        if job.stage == "perception"
        else read_ranking(
            tables,
            job.settings.ranking.loss.soft_labels,
            job.settings.ranking.blocks,
            composed=job.settings.ranking.composed,
            rationales=bool(job.settings.ranking.loss.rationale),
        )
    )
    key = _digest(given, job, partial(model_identity, digests=job.digests))
    with one_first():
        done = _done(job.out, key, lambda: _digest(given, job, former_identity))
    if done is not None and done.whole == _whole(job):
        return done
    quieten()
    chosen = best_checkpoint(job.out / CHECKPOINTS) if done is not None else None
    if done is not None and chosen is not None:
        return _written_anew(job, done, chosen)
    videos = given.videos  # once: it goes through all examples
    given = given.without(job.clips.prepare(videos[video] for video in sorted(videos)))
    note_left_out(job.out, given.left_out)
    if isinstance(given, RankingData):
        refuse_compared(given.mixed_groups, job.settings.ranking.loss)
        if given.mixed and PartialState().is_main_process:
            print(given.mixed, file=sys.stderr)
    if not given.examples:
        raise UsageError(f"nothing to train on: what was left out of the split train is in {job.out / LEFT_OUT}")
    set_seed(job.settings.seed)  # a new adapter is drawn before the trainer would do so
    reranker = _untrained(job)
    _refuse_references(given, reranker, job.model)
    packed = _packed(given, reranker)
    trainer = _tracked(partial(_trainer, given, job, reranker, packed), job.settings.trackers)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ToTerminal())
    if job.settings.patience and trainer.args.metric_for_best_model:
        trainer.add_callback(EndsAtPlateau(job.settings.patience))
    counts = trainable(reranker.network)
    checkpoint = last_checkpoint(job.out / CHECKPOINTS)
    if checkpoint is not None:
        refuse_other_processes(checkpoint, trainer.args.world_size, trainer.is_fsdp_enabled)
    trainer.train(resume_from_checkpoint=checkpoint)
    trained = _trained(given, job, key, trainer, counts, packed, reranker)
    weights = trained_weights(reranker.network) if is_sharded(reranker.network) else None
    if trainer.is_world_process_zero():
        _write(reranker if weights is None else _put_together(job, weights), job, trained)
    trainer.accelerator.wait_for_everyone()
    return trained


def _untrained(job: TrainJob) -> Reranker:
    """The model with the weights that the stage begins with. Those that it trains are marked."""
    reranker = open_reranker(job.model, job.revision, job.settings)
    if job.start is not None:
        load_stage_one(reranker, job.start, merged=_merged(job))
    make_trainable(reranker, job.settings, FIRST if job.stage == "perception" else SECOND)
    return reranker


def _tracked(make: Callable[[], StageTrainer], trackers: Sequence[str]) -> StageTrainer:
    """A trainer. Raises MissingDependency or UsageError for a tracker that is not installed or not known."""
    try:
        return make()
    except (RuntimeError, ImportError) as error:
        if not trackers:
            raise
        raise MissingDependency(f"train.trackers {', '.join(trackers)}: {error}") from error
    except ValueError as error:
        if "not supported" in str(error) and trackers:
            raise UsageError(f"train.trackers {', '.join(trackers)}: {error}") from error
        raise


def _written_anew(job: TrainJob, done: Trained, chosen: Path) -> Trained:
    """A finished training as whole weights, or as an adapter again. Nothing is trained, in however many processes."""
    trained = replace(done, whole=_whole(job))
    state = PartialState(cpu=not torch.accelerator.is_available())
    if state.is_main_process:
        _write(_put_together(job, load_file(str(chosen / WEIGHTS))), job, trained)
    state.wait_for_everyone()
    return trained


def _put_together(job: TrainJob, weights: dict[str, Any]) -> Reranker:
    """The model of a training, opened anew, with what was trained."""
    reranker = _untrained(job)
    put_weights(reranker.network, weights)
    return reranker


def _refuse_references(given: Given, reranker: Reranker, model: str) -> None:
    """Raises UsageError where queries start from videos that the model's template would not show."""
    if isinstance(given, PerceptionData):
        return
    composed = [group.group_id for group in given.examples if group.reference is not None]
    if (composed or given.validation.references) and not shows_reference(reranker.processor):
        told = f"{model}: {NO_REFERENCE}, or set train.ranking.composed = false"
        raise UsageError(f"{told} (the groups {', '.join(composed[:3])}, ...)" if composed else told)


def _packed(given: Given, reranker: Reranker) -> bool:
    """Whether queries of one video go as one row. Says so where there are some and the model cannot."""
    if isinstance(given, PerceptionData) or not any(group.blocks for group in given.examples):
        return False
    packed = can_pack(reranker.network, reranker.processor)
    if not packed and PartialState().is_main_process:
        told = f"this model, with attention {attention_of(reranker.network)!r}, cannot keep queries of one row apart"
        print(f"{told}: each query goes in a row of its own, with its video again", file=sys.stderr)
    return packed


def _trained(
    given: Given,
    job: TrainJob,
    key: str,
    trainer: StageTrainer,
    counts: tuple[int, int],
    packed: bool,
    reranker: Reranker,
) -> Trained:
    """What a trainer that has ended did. `counts` are the parameters that were trained, and all of them. The videos
    that could not be read on the way are written down."""
    log, unreadable = trainer.state.log_history, _unreadable(trainer)
    if unreadable and trainer.is_world_process_zero():
        with atomic_writer(job.out / UNREADABLE_FILE) as file:
            file.writelines(json.dumps({"item": id, "detail": unreadable[id]}) + "\n" for id in sorted(unreadable))
    return Trained(
        stage=job.stage,
        digest=key,
        whole=_whole(job),
        media=job.clips.media.model_dump(mode="json"),
        frames=(job.settings.perception if isinstance(given, PerceptionData) else job.settings.ranking).frames,
        examples=len(given.examples),
        left_out=_counts(given) | ({UNREADABLE: len(unreadable)} if unreadable else {}),
        cut=trainer.data_collator.cut(given.examples) if isinstance(given, PerceptionData) else 0,
        steps=trainer.state.global_step,
        trainable=counts[0],
        parameters=counts[1],
        loss=next((entry["loss"] for entry in reversed(log) if "loss" in entry), None),
        metric=_metric(given),
        validation=trainer.state.best_metric,
        log=[plain_entry(entry) for entry in log],
        packed=packed,
        shown=shown_digest(reranker.processor),
        versions=versions(),
    )


def _unreadable(trainer: StageTrainer) -> dict[str, str]:
    """Videos that could not be read while any of the processes trained: why, by id."""
    mine = trainer.data_collator.reader.unreadable | trainer.unreadable
    found = gather_object([mine]) if trainer.accelerator.num_processes > 1 else [mine]
    return {video: why for each in found for video, why in each.items()}


def _trainer(given: Given, job: TrainJob, reranker: Reranker, packed: bool) -> StageTrainer:
    settings = job.settings
    if isinstance(given, PerceptionData):
        return PerceptionTrainer(
            model=reranker.network,
            args=_arguments(given, job, bool(given.validation)),
            train_dataset=list(given.examples),
            eval_dataset=list(given.validation) or None,
            data_collator=CaptionCollator(reranker.processor, job.clips, settings),
        )
    validation = given.validation
    stage = settings.ranking
    rationale_tokens = stage.max_rationale_tokens if stage.loss.rationale else None
    collator = GroupCollator(reranker.processor, job.clips, stage.frames, packed, rationale_tokens)
    return RankingTrainer(
        model=reranker.network,
        args=_arguments(given, job, bool(validation.qrels)),
        train_dataset=list(given.examples),
        eval_dataset=["ranked as a whole"] if validation.qrels else None,
        data_collator=collator,
        reranker=reranker,
        loss=settings.ranking.loss,
        measure=partial(measure, reranker, validation, collator.reader),
    )


def _arguments(given: Given, job: TrainJob, measured: bool) -> TrainingArguments:
    metric = _metric(given) if measured else None
    return arguments(job.stage, job.out, job.settings, len(given.examples), metric)


def _write(reranker: Reranker, job: TrainJob, trained: Trained) -> None:
    reranker.network.eval()
    for stale in (*job.out.glob("*.safetensors"), *job.out.glob("adapter_config.json")):
        stale.unlink()  # an adapter beside merged weights would be applied to them once more
    if trained.whole and reranker.quantized:
        reranker = _unquantized(reranker, job)
    save(reranker, job.out, whole=trained.whole)
    write_card(job.out, trained.stage, job.model, job.settings, asdict(trained))
    with atomic_writer(job.out / RESULT) as file:
        json.dump(asdict(trained), file, indent=2)


def _unquantized(reranker: Reranker, job: TrainJob) -> Reranker:
    """The adapters on the weights as they were saved: merged into four bits they would be rounded."""
    with scratch_folder() as folder:
        save(reranker, folder, whole=False)
        plain = open_reranker(job.model, job.revision, job.settings.model_copy(update={"method": "lora"}))
        plain.network, plain.adapters = PeftModel.from_pretrained(plain.network, str(folder)), ("default",)
    return plain


def _merged(job: TrainJob) -> bool:
    """Whether stage 1's adapter goes into the weights: always where all of them are trained."""
    return job.start is not None and (job.settings.ranking.start == "merged" or job.settings.method == "full")


def _whole(job: TrainJob) -> bool:
    """Whether all weights are written: the base model alone does not do where an adapter went into it."""
    return job.whole or job.settings.method == "full" or _merged(job)


def _metric(given: Given) -> str:
    """What decides which checkpoint is best."""
    return "loss" if isinstance(given, PerceptionData) else chosen_by(given.validation)


def _digest(given: Given, job: TrainJob, identity: Callable[[str], str] = model_identity) -> str:
    """Names a training by what can change its result: settings, model, and all that it takes from the dataset."""
    media = job.clips.media.model_dump(mode="json")
    start = None if job.start is None else identity(str(job.start))
    options, told = named_settings(given, job.settings), named_data(given, job.settings)
    return digest(job.stage, identity(job.model), job.revision, start, options, media, told)


def _done(out: Path, key: str, former: Callable[[], str]) -> Trained | None:
    """The result of a training that is done. `former` is its name in version 26e4c37."""
    found = finished(out, key, former)
    return None if found is None else Trained(**found)


def _counts(given: Given) -> dict[str, int]:
    """How much was left out, by reason."""
    return dict(sorted(Counter(each.reason for each in given.left_out).items()))
