"""What every training here does: one folder for one training, its last whole checkpoint, and a quiet terminal."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers.utils import logging

from hardcut.engine.files import atomic_writer
from hardcut.reranker.examples import LeftOut
from hardcut.reranker.identity import RESULT
from hardcut.schemas.errors import UsageError

LEFT_OUT = "left_out.jsonl"
CHECKPOINTS = "checkpoints"


def finished(out: Path, key: str, former: Callable[[], str] | None = None) -> dict[str, Any] | None:
    """What a training that is done left in its folder; None where it is not done. Notes in the folder which training it
    is for. `former` is another name that it may have there. Raises UsageError where the folder holds another one."""
    mark = out / CHECKPOINTS / "training"
    there = mark.read_text("utf-8") if mark.is_file() else None
    other = there not in (None, key) and not (former and there == former())
    if other or (there is None and out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out}: holds something else, or a training with other settings or data: name another folder")
    mark.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(mark) as file:
        file.write(key)
    if not (out / RESULT).is_file():
        return None
    found: dict[str, Any] = json.loads((out / RESULT).read_text("utf-8"))
    return found


def note_left_out(out: Path, left_out: Sequence[LeftOut]) -> None:
    """Writes down what is not trained on. Raises UsageError where a training that goes on left out something else."""
    path = out / LEFT_OUT
    text = "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in left_out)
    with one_first():
        if path.is_file() and path.read_text("utf-8") != text and last_checkpoint(out / CHECKPOINTS) is not None:
            raise UsageError(f"{out}: other videos are missing than when it began ({path}): name another folder")
        with atomic_writer(path) as file:
            file.write(text)


def one_first() -> AbstractContextManager[None]:
    """Of several processes one makes the files, and the others find them."""
    first: AbstractContextManager[None] = PartialState(cpu=not torch.accelerator.is_available()).main_process_first()
    return first


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: its state is what is written last."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json") if _is_json(path)]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def best_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that a finished training chose: the best by validation, or the last where nothing was measured.
    None where it is not there any more."""
    last = last_checkpoint(folder)
    if last is None:
        return None
    best = json.loads((Path(last) / "trainer_state.json").read_text("utf-8")).get("best_model_checkpoint")
    chosen = folder / Path(best).name if best else Path(last)
    return chosen if chosen.is_dir() else None


def refuse_other_processes(checkpoint: str | None, processes: int, sharded: bool = False) -> None:
    """A step is that of all processes: with more or fewer of them it would be another training. With the optimiser's
    state in parts, or not, as it was before, it is read back. Raises UsageError."""
    if checkpoint is None:
        return
    before = len(list(Path(checkpoint).glob("rng_state*.pth")))
    if before and before != processes:
        raise UsageError(f"{checkpoint}: was written by {before} processes: go on with as many, not with {processes}")
    if (Path(checkpoint) / "optimizer_0").is_dir() != sharded:
        told = "in parts" if not sharded else "whole"
        raise UsageError(f"{checkpoint}: the optimiser's state is {told}: go on with train.sharded as it was")


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except ValueError:
        return False
    return True


def quieten() -> None:
    """Silences what the libraries say of themselves."""
    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def plain_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the log without what differs from run to run."""
    timed = ("runtime", "per_second", "flos")
    return {name: value for name, value in entry.items() if not any(part in name for part in timed)}
