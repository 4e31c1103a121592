"""sentence-transformers: files for its CrossEncoder trainer, JSON Lines that `load_dataset("json", ...)` reads.

Columns are what its losses go by: the inputs in their order, and one of `label`, `labels` or `score`. A second of these
would be taken for an input, so every file has one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset

Row = dict[str, Any]


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """For each split `SPLIT.pairs.jsonl` (query, video, label: for BinaryCrossEntropyLoss), `SPLIT.margins.jsonl`
    (query, video, score: the teacher's margin, where it is known, for MSELoss), `SPLIT.groups.jsonl` (query, positive,
    negative_1 ... negative_K: for ranking losses over positives and negatives) and `SPLIT.lists.jsonl` (query, docs,
    labels: for LambdaLoss and other listwise losses).

    A video is its path in the original collection. Rows by file.
    """
    counts: dict[str, int] = {}
    for split in dataset.splits("pairs"):
        files = {"pairs": _labels, "margins": _margins, "groups": _groups, "lists": _lists}
        for name, rows in files.items():
            counts[f"{split}.{name}.jsonl"] = 0
            with atomic_writer(out / f"{split}.{name}.jsonl") as file:
                for row in rows(dataset, split):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    counts[f"{split}.{name}.jsonl"] += 1
    return counts


def _labels(dataset: Dataset, split: str) -> Iterator[Row]:
    for row in _rows(dataset, "pairs", split, ("query", "video_path", "label")):
        yield {"query": row["query"], "video": row["video_path"], "label": float(row["label"] > 0)}


def _margins(dataset: Dataset, split: str) -> Iterator[Row]:
    for row in _rows(dataset, "pairs", split, ("query", "video_path", "logit_margin")):
        if row["logit_margin"] is not None:
            yield {"query": row["query"], "video": row["video_path"], "score": row["logit_margin"]}


def _groups(dataset: Dataset, split: str) -> Iterator[Row]:
    for row in _rows(dataset, "groups", split, ("query", "positive", "negatives")):
        negatives = {f"negative_{n}": one["video_path"] for n, one in enumerate(row["negatives"], 1)}
        yield {"query": row["query"], "positive": row["positive"]["video_path"], **negatives}


def _lists(dataset: Dataset, split: str) -> Iterator[Row]:
    """All judged videos of each query, in the order of the pairs."""
    lists: dict[str, Row] = {}
    for row in _rows(dataset, "pairs", split, ("query_id", "query", "video_path", "label")):
        entry = lists.setdefault(row["query_id"], {"query": row["query"], "docs": [], "labels": []})
        entry["docs"].append(row["video_path"])
        entry["labels"].append(row["label"])
    yield from lists.values()


def _rows(dataset: Dataset, config: str, split: str, columns: Sequence[str]) -> Iterator[Row]:
    return (row for where, row in dataset.rows(config, columns) if where == split)
