"""transformers' Trainer with what it lacks here: losses over groups, checkpoints of what is trained, nDCG to choose."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import get_worker_info
from transformers import Trainer, TrainerCallback
from transformers.trainer import SCHEDULER_NAME

from hardcut.reranker.clips import ClipReader, Clips, stand_in
from hardcut.reranker.examples import CaptionExample, Group
from hardcut.reranker.losses import Batch, Counts, count, ranking_loss
from hardcut.reranker.model import Reranker
from hardcut.reranker.packing import packed_inputs
from hardcut.reranker.rationales import IGNORED, Rationale, learned, rationale_inputs, rationale_loss
from hardcut.reranker.sharding import put_weights, shard_without_cards, trained_weights
from hardcut.schemas.training import LossSettings, TrainSettings
from hardcut.teacher.local.pair_prompt import Shown, pair_inputs, video_end, video_inputs
from hardcut.teacher.prompts.control_tokens import part

WEIGHTS = "trained.safetensors"
"""What a checkpoint keeps of the model: the parameters that are trained."""
DESCRIBE = "Describe the video."
RATIONALES = "rationales"
"""What a batch has beside the pairs where reasons are learned."""
TOLD = "unreadable"
"""What a batch of a worker says beside the tensors: the videos that could not be read, why by id."""


class TrainedWeights:
    """For a Trainer: checkpoints hold what is trained, and nothing else of the model."""

    args: Any
    accelerator: Any
    model: Any
    state: Any
    optimizer: Any
    lr_scheduler: Any
    is_fsdp_enabled: bool

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()  # type: ignore[misc,unused-ignore]
        shard_without_cards(self)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Every process takes part: weights may be in parts."""
        trained = trained_weights(self.accelerator.unwrap_model(self.model))
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_file(trained, str(folder / WEIGHTS))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc,unused-ignore]
            return
        from accelerate.utils import save_fsdp_optimizer

        # The trainer would save all of the weights here once more, those that are not trained too.
        plugin = self.accelerator.state.fsdp_plugin
        save_fsdp_optimizer(plugin, self.accelerator, self.optimizer, self.model, output_dir)
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)  # type: ignore[misc,unused-ignore]
        self.accelerator.wait_for_everyone()  # what is written after this says that the checkpoint is whole

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = load_file(str(Path(resume_from_checkpoint) / WEIGHTS))
        put_weights(self.accelerator.unwrap_model(model or self.model), weights)

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))


class StageTrainer(TrainedWeights, Trainer):  # type: ignore[misc,unused-ignore]
    """A step is the same however it is split.

    Before a step, `counts_of` says of each micro-batch what its terms are means over. Their sums over all micro-batches
    and processes go to `compute_loss` as `num_items_in_batch`. It divides by them, and by nothing else."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.loss_is_scaled_for_ga = True
        self.unreadable: dict[str, str] = {}
        """Videos that workers could not read: why, by id."""

    def counts_of(self, batch: Mapping[str, Any]) -> list[float]:
        """What the terms of a micro-batch are means over: the same number of counts for every micro-batch."""
        raise NotImplementedError

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """The micro-batches of a step, and the counts of the whole step."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        for batch in batches:
            self._note(batch)
        counts = torch.tensor([self.counts_of(batch) for batch in batches], dtype=torch.float64).sum(0)
        return batches, self.accelerator.reduce(counts.to(device), "sum").tolist()

    def _note(self, batch: Any) -> None:
        """Takes what a worker says of videos out of a batch."""
        self.unreadable |= batch.pop(TOLD, {})

    def _whole(self, loss: Tensor) -> Tensor:
        """The loss so that the mean over processes, which is what they make of their gradients, is the sum."""
        return loss * self.accelerator.num_processes


class ToTerminal(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Says how far training is, where somebody watches."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if state.is_world_process_zero and sys.stderr.isatty():
            values = ", ".join(f"{name} {value:.4g}" for name, value in logs.items() if isinstance(value, float))
            print(f"step {state.global_step} of {state.max_steps}: {values}", file=sys.stderr)


class EndsAtPlateau(TrainerCallback):  # type: ignore[misc,unused-ignore]
    """Ends training after `patience` measurements without a better one. transformers' own callback counts in memory,
    and begins anew where a training goes on; this one reads the log, which checkpoints keep."""

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        name = f"eval_{args.metric_for_best_model}"
        measured = [entry[name] for entry in state.log_history if name in entry]
        if since_best(measured, args.greater_is_better) >= self._patience:
            control.should_training_stop = True


def since_best(measured: Sequence[float], greater: bool) -> int:
    """How many measurements came after the best one; of two that are equal the first is the best."""
    best = max(measured) if greater else min(measured)
    return len(measured) - 1 - list(measured).index(best)


class PerceptionTrainer(StageTrainer):
    """Stage 1: next-token loss on captions, and the same on held-out ones to choose by; both are means over tokens."""

    def counts_of(self, batch: Mapping[str, Any]) -> list[float]:
        """How many tokens are learned."""
        return [float((batch["labels"][:, 1:] != IGNORED).sum())]  # the first has nothing before it to tell it from

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """The loss a token over all held-out captions, whatever the size of a batch and the number of processes."""
        self.model.eval()
        found: list[Tensor] = []
        with torch.no_grad():
            for batch in self.get_eval_dataloader():
                self._note(batch)
                labels = batch["labels"]
                with self.compute_loss_context_manager():
                    _, outputs = self.compute_loss(self.model, dict(batch), return_outputs=True)
                next_ones = labels[:, 1 - outputs.logits.shape[1] :]
                logits = outputs.logits[:, :-1].float().transpose(1, 2)
                losses = cross_entropy(logits, next_ones, ignore_index=IGNORED, reduction="none").double().sum(1)
                of_rows = torch.stack([losses, (next_ones != IGNORED).sum(1).double()], 1)
                found.append(self.accelerator.gather_for_metrics(of_rows))  # without those that fill the last batch up
        loss, tokens = torch.cat(found).sum(0).tolist()
        metrics = {f"{metric_key_prefix}_loss": loss / tokens}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = inputs.pop("labels")
        # From the place before the first caption's first token: logits of the prompt would fill the memory for nothing.
        learned = (labels != IGNORED).any(0).nonzero()
        last = labels.shape[1] - int(learned[0]) + 1 if len(learned) else 2
        counted = {} if num_items_in_batch is None else {"num_items_in_batch": max(num_items_in_batch[0], 1)}
        outputs = model(**inputs, labels=labels[:, -last:], logits_to_keep=last, **counted)
        loss = self._whole(outputs.loss) if counted else outputs.loss
        return (loss, outputs) if return_outputs else loss


class RankingTrainer(StageTrainer):
    """Stage 2: the loss of RANKVIDEO over groups, and over their blocks of counterfactuals; the log shows each term.
    `measure` gives the figures on the validation split, given the accelerator."""

    def __init__(
        self,
        *given: Any,
        reranker: Reranker,
        loss: LossSettings,
        measure: Callable[[Any], dict[str, float]],
        **named: Any,
    ) -> None:
        super().__init__(*given, **named)
        self._reranker = reranker
        self._settings = loss
        self._measure = measure
        self._terms: defaultdict[str, list[Tensor]] = defaultdict(list)

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Ranks the validation split in place of a loss over it."""
        self.model.eval()
        found = self._measure(self.accelerator)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def counts_of(self, batch: Mapping[str, Any]) -> list[float]:
        """What the terms of groups are means over, those of blocks, and the one over reasons."""
        return _counts(batch)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        counts = _counts(inputs) if num_items_in_batch is None else num_items_in_batch
        *counts, tokens = counts
        half = len(counts) // 2
        of_groups, of_blocks = Counts(*counts[:half]), Counts(*counts[half:])
        scores = self._reranker.scores(model, inputs["pairs"]).float()
        total, terms = ranking_loss(scores[inputs["at"]], _groups(inputs), self._settings, of_groups)
        if of_blocks.pairwise:
            more, found = ranking_loss(scores[inputs["blocks"]], _blocks(inputs), self._settings, of_blocks)
            total = total + self._settings.counterfactuals * more
            terms |= {f"counterfactuals_{name}": term for name, term in found.items()}
        if RATIONALES in inputs:
            terms["rationale"] = rationale_loss(model, inputs[RATIONALES], tokens)
            total = total + self._settings.rationale * terms["rationale"]
        for name, term in terms.items():
            self._terms[name].append(term.detach())
        if num_items_in_batch is not None:
            total = self._whole(total)
        return (total, {"scores": scores}) if return_outputs else total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Each term beside the loss: its sum over the micro-batches and processes of a step (every step is logged)."""
        if "loss" in logs and self._terms:
            names = sorted(self._terms)  # the same in every process: what is on, and whether the step has blocks
            sums = self.accelerator.reduce(torch.stack([torch.stack(self._terms[name]).sum() for name in names]), "sum")
            logs |= {f"loss_{name}": value for name, value in zip(names, sums.tolist(), strict=True)}
            self._terms.clear()
        super().log(logs, start_time)


def _counts(inputs: Mapping[str, Any]) -> list[float]:
    tokens = learned(inputs[RATIONALES]) if RATIONALES in inputs else 0.0
    return [*astuple(count([_groups(inputs)])), *astuple(count([_blocks(inputs)])), tokens]


def _groups(inputs: Mapping[str, Any]) -> Batch:
    return Batch(inputs["present"], inputs["soft"], inputs["grades"])


def _blocks(inputs: Mapping[str, Any]) -> Batch:
    """The blocks of a micro-batch as groups of two, answered and not; there may be none."""
    return Batch(torch.ones_like(inputs["blocks"], dtype=torch.bool), inputs["blocks_soft"])


class GroupCollator:
    """Groups as the tensors of one forward pass: `pairs` is a padded batch of every query with its video. `at` says
    which pairs are a group's candidates, [groups, 1 + K], and `blocks` which are the sides of a block, [blocks, 2].

    A video that cannot be read counts for nothing, and a positive that cannot takes its group's row along; `reader`
    knows them. `packed`: where a positive's video is asked several queries, they go as one row. With `rationale_tokens`
    the pairs with a teacher's reasoning are there once more, to learn so many tokens of it."""

    def __init__(
        self, processor: Any, clips: Clips, frames: int, packed: bool = True, rationale_tokens: int | None = None
    ) -> None:
        self._processor, self._packed, self._rationale_tokens = processor, packed, rationale_tokens
        self.reader = ClipReader(clips, frames)

    def __call__(self, groups: Sequence[Group]) -> dict[str, Any]:
        widest = max(len(group.candidates) for group in groups)
        present = torch.zeros((len(groups), widest), dtype=torch.bool)
        at = torch.zeros((len(groups), widest), dtype=torch.long)
        soft = torch.full((len(groups), widest), torch.nan)
        grades = torch.zeros((len(groups), widest), dtype=torch.long)
        asked: list[tuple[Shown, Sequence[str]]] = []
        blocks: list[tuple[int, int]] = []
        pairs = 0
        sides: list[tuple[float, float]] = []
        reasons: list[Rationale] = []
        for row, group in enumerate(groups):
            read = [self.reader.read(candidate.video) for candidate in group.candidates]
            reference = self.reader.read_reference(group.reference)
            usable = read[0] is not None and (group.reference is None or reference is not None)
            plain = group.questions if group.reference is None else group.sides
            place = {query: pairs + number + (group.reference is not None) for number, query in enumerate(plain)}
            for block in group.blocks if usable else ():
                blocks.append((place[block.answered.query], place[block.unanswered.query]))
                sides.append((_or_nan(block.answered.soft), _or_nan(block.unanswered.soft)))
            for column, candidate in enumerate(group.candidates):
                clip = read[column]
                present[row, column] = usable and clip is not None
                at[row, column] = pairs
                soft[row, column] = _or_nan(candidate.soft)
                grades[row, column] = candidate.grade
                shown, first = clip or stand_in(), column == 0
                rows: list[tuple[Shown, Sequence[str]]] = [(shown, plain if first else (group.query,))]
                if group.reference is not None:  # the sides of blocks start from no video: they have a row of their own
                    composed: Shown = (reference or stand_in(), shown)
                    rows = [(composed, (group.query,)), *([(shown, plain)] if first and plain else ())]
                asked += rows
                if self._rationale_tokens is not None and present[row, column]:
                    reasons += _reasons(group, column, rows)
                pairs += sum(len(queries) for _, queries in rows)
        return {
            "pairs": self._inputs(asked),
            "present": present,
            "at": at,
            "soft": soft,
            "grades": grades,
            "blocks": torch.tensor(blocks, dtype=torch.long).reshape(-1, 2),
            "blocks_soft": torch.tensor(sides).reshape(-1, 2),
            **self._rationales(reasons, asked),
            **_told(self.reader),
        }

    def _rationales(self, reasons: Sequence[Rationale], asked: Sequence[tuple[Shown, Sequence[str]]]) -> dict[str, Any]:
        if self._rationale_tokens is None:
            return {}
        shown, queries = asked[0]  # where there are no reasons: nothing of it is learned
        reasons = reasons or [(queries[0], shown, None)]
        return {RATIONALES: rationale_inputs(self._processor, reasons, self._rationale_tokens)}

    def _inputs(self, asked: Sequence[tuple[Shown, Sequence[str]]]) -> dict[str, Any]:
        if self._packed and any(len(queries) > 1 for _, queries in asked):
            return packed_inputs(self._processor, asked)
        return dict(pair_inputs(self._processor, [(query, shown) for shown, queries in asked for query in queries]))


def _told(reader: ClipReader) -> dict[str, Any]:
    """In a worker, whose reader nobody else sees: the videos that it could not read."""
    return {} if get_worker_info() is None else {TOLD: dict(reader.unreadable)}


def _reasons(group: Group, column: int, rows: Sequence[tuple[Shown, Sequence[str]]]) -> Iterator[Rationale]:
    """The pairs of a candidate that have a teacher's reasoning: the group's query, and of the positive's video the
    sides of blocks, each once. The first of `rows` shows the group's query, the last one the sides."""
    candidate = group.candidates[column]
    if candidate.reasoning:
        yield group.query, rows[0][0], candidate.reasoning
    if column == 0:
        sides = (side for block in group.blocks for side in (block.answered, block.unanswered))
        for query, side in {side.query: side for side in sides}.items():
            if side.reasoning and query != group.query:
                yield query, rows[-1][0], side.reasoning


def _or_nan(soft: float | None) -> float:
    return torch.nan if soft is None else soft


class CaptionCollator:
    """Videos with captions as one padded batch; only the caption's tokens have labels, and no more of them than the
    limit. A video that cannot be read has none; `reader` knows it."""

    def __init__(self, processor: Any, clips: Clips, settings: TrainSettings) -> None:
        self._processor = processor
        self.reader = ClipReader(clips, settings.perception.frames)
        self._most = settings.perception.max_caption_tokens

    def __call__(self, examples: Sequence[CaptionExample]) -> Mapping[str, Any]:
        tokenizer = self._processor.tokenizer
        ask = [
            {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": DESCRIBE}]},
        ]
        prompt = self._processor.apply_chat_template(ask, tokenize=False, add_generation_prompt=True)
        captions = [self._tokens(example)[: self._most] for example in examples]
        texts = [prompt + tokenizer.decode(tokens) + tokenizer.eos_token for tokens in captions]
        clips = [self.reader.read(example.video) for example in examples]
        inputs = video_inputs(self._processor, texts, [clip or stand_in() for clip in clips], padding_side="right")
        labels = inputs["input_ids"].clone()
        labels[inputs["attention_mask"] == 0] = IGNORED
        end_of_video = video_end(self._processor)
        after = len(tokenizer.encode(prompt.rpartition(end_of_video)[2], add_special_tokens=False))
        end = inputs["input_ids"] == tokenizer.convert_tokens_to_ids(end_of_video)
        for row in range(len(texts)):
            labels[row, : int(end[row].nonzero()[-1]) + 1 + after] = IGNORED
            if clips[row] is None:
                labels[row] = IGNORED
        return {**inputs, "labels": labels, **_told(self.reader)}

    def cut(self, examples: Sequence[CaptionExample]) -> int:
        """How many captions are longer than the limit."""
        return sum(len(self._tokens(example)) > self._most for example in examples)

    def _tokens(self, example: CaptionExample) -> list[int]:
        """The caption's tokens. None of them is a control token, also where the caption spells one."""
        tokenizer = self._processor.tokenizer
        return list(tokenizer.encode(part(tokenizer, example.caption), add_special_tokens=False))
