"""sentence-transformers: its two trainers take three steps on the videos of each file, with the loss that it is for.

A small Qwen3-VL of random weights stands for a large one. The library reads a file by its path with torchcodec alone;
where that is missing, as here, each `{"video": PATH}` becomes its frames, which is the other form that it takes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from consumer import FOLDER, TRUTH, Shown, judged, report
from datasets import Dataset, load_dataset
from sentence_transformers import (
    CrossEncoder,
    CrossEncoderTrainer,
    CrossEncoderTrainingArguments,
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder import losses as cross
from sentence_transformers.cross_encoder.modules import LogitScore
from sentence_transformers.sentence_transformer import losses as bi
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

STEPS = 3
FRAMES = 4
AS_GIVEN = {"video": {"do_sample_frames": False}}
"""Frames without times would be taken for 24 a second, and thinned out."""
CROSS = {
    "pairs": cross.BinaryCrossEntropyLoss,
    "margins": cross.MSELoss,
    "groups": cross.MultipleNegativesRankingLoss,
    "triplets": cross.MarginMSELoss,
    "lists": cross.LambdaLoss,
}
BI = {"groups": bi.MultipleNegativesRankingLoss, "triplets": bi.MarginMSELoss}
"""By file the loss that it is written for."""


def train(model: Any, trainer: Any, arguments: Any, loss: Callable[[Any], Any], rows: Dataset) -> None:
    """Trains three steps, and sees to it that the weights that look at pictures have learned: of texts they would
    not."""
    looks = {name: value.detach().clone() for name, value in model.named_parameters() if ".visual." in name}
    assert looks, "no vision tower"
    told = arguments(
        output_dir=str(FOLDER / "trained"), max_steps=STEPS, per_device_train_batch_size=2, learning_rate=1e-3,
        report_to=[], use_cpu=True, save_strategy="no", logging_steps=1, disable_tqdm=True, seed=0,
    )  # fmt: skip
    trained = trainer(model=model, args=told, train_dataset=rows, loss=loss(model))
    trained.train()
    figures = [entry["loss"] for entry in trained.state.log_history if "loss" in entry]
    assert len(figures) == STEPS and np.isfinite(figures).all(), figures
    after = dict(model.named_parameters())
    moved = sum(not torch.equal(after[name], value) for name, value in looks.items())
    assert moved > len(looks) / 2, f"{moved} of {len(looks)} weights of the vision tower have moved"


def rows_of(name: str) -> tuple[Dataset, list[Shown]]:
    """A file as the library is given it, with frames for the videos, and what its rows show."""
    path = str(FOLDER / "sentence-transformers" / f"train.{name}.jsonl")
    table = load_dataset("json", data_files=path, cache_dir=str(FOLDER / "cache"))["train"]
    table = table.sort(table.column_names[0])  # so that no batch is one query's
    shown = []
    for row in table:
        documents = [one for value in row.values() for one in (value if isinstance(value, list) else [value])]
        shown.append(Shown("train", row["query"], tuple(one["video"] for one in documents if isinstance(one, dict))))
    return table.with_transform(_with_frames), shown


def _with_frames(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {column: [_seen(value) for value in values] for column, values in batch.items()}


def _seen(value: Any) -> Any:
    if isinstance(value, list):
        return [_seen(one) for one in value]
    return _frames(value["video"]) if isinstance(value, dict) else value


def _frames(path: str) -> np.ndarray[Any, Any]:
    """Frames of the whole clip, evenly: [FRAMES, height, width, 3]."""
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack([frames[int(at)] for at in np.linspace(0, len(frames) - 1, FRAMES)])


def cross_encoder(folder: str) -> CrossEncoder:
    base = Transformer(folder, transformer_task="any-to-any", processing_kwargs=AS_GIVEN)
    tokens = base.processor.tokenizer
    yes, no = (tokens.encode(word, add_special_tokens=False)[0] for word in ("yes", "no"))
    return CrossEncoder(modules=[base, LogitScore(yes, no)], device="cpu")


def bi_encoder(folder: str) -> SentenceTransformer:
    base = Transformer(folder, processing_kwargs=AS_GIVEN)
    pooling = Pooling(base.get_embedding_dimension(), pooling_mode="lasttoken")
    return SentenceTransformer(modules=[base, pooling, Normalize()], device="cpu")


if __name__ == "__main__":
    tiny = str(Path(sys.argv[2]))
    seen: list[Shown] = []
    for name, loss in CROSS.items():
        rows, shown = rows_of(name)
        assert len(shown) == TRUTH["counts"]["sentence-transformers"][f"train.{name}.jsonl"]
        seen += shown
        train(cross_encoder(tiny), CrossEncoderTrainer, CrossEncoderTrainingArguments, loss, rows)
    for name, loss in BI.items():
        train(
            bi_encoder(tiny), SentenceTransformerTrainer, SentenceTransformerTrainingArguments, loss, rows_of(name)[0]
        )
    told = judged(seen)
    report("sentence-transformers", {"sentence-transformers": {**told, "a video is a video": "yes, 3 steps trained"}})
