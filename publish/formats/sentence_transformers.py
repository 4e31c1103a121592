"""sentence-transformers: files for its CrossEncoder trainer, JSON Lines that `load_dataset("json", ...)` reads.

Columns are what its losses go by: the inputs in their order, and one of `label`, `labels` or `score`. A second of these
would be taken for an input, so every file has one.

A video is `{"video": PATH}`. Of a bare path the library decides by its ending, and by whether the file is found from
where it runs: any other path is trained on as a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset, Row


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """For each split `SPLIT.pairs.jsonl` (query, video, label: for BinaryCrossEntropyLoss), `SPLIT.margins.jsonl`
    (query, video, score: the teacher's margin, where it is known, for MSELoss), `SPLIT.groups.jsonl` (query, positive,
    negative_1 ... negative_K: for ranking losses over positives and negatives), `SPLIT.triplets.jsonl` (query,
    positive, negative, score: the difference of the teacher's margins, where both are known, for MarginMSELoss) and
    `SPLIT.lists.jsonl` (query, docs, labels: for LambdaLoss and other listwise losses). Rows by file.
    """
    counts: dict[str, int] = {}
    for split in dataset.splits("pairs"):
        files = {"pairs": _labels, "margins": _margins, "groups": _groups, "triplets": _triplets, "lists": _lists}
        for name, rows in files.items():
            counts[f"{split}.{name}.jsonl"] = 0
            with atomic_writer(out / f"{split}.{name}.jsonl") as file:
                for row in rows(dataset, split):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    counts[f"{split}.{name}.jsonl"] += 1
    return counts


def _labels(dataset: Dataset, split: str) -> Iterator[Row]:
    for row in _rows(dataset, "pairs", split, ("query", "video_path", "label")):
        yield {"query": row["query"], "video": _video(row), "label": float(row["label"] > 0)}


def _margins(dataset: Dataset, split: str) -> Iterator[Row]:
    for row in _rows(dataset, "pairs", split, ("query", "video_path", "logit_margin")):
        if row["logit_margin"] is not None:
            yield {"query": row["query"], "video": _video(row), "score": row["logit_margin"]}


def _groups(dataset: Dataset, split: str) -> Iterator[Row]:
    for row in _rows(dataset, "groups", split, ("query", "positive", "negatives")):
        negatives = {f"negative_{n}": _video(one) for n, one in enumerate(row["negatives"], 1)}
        yield {"query": row["query"], "positive": _video(row["positive"]), **negatives}


def _triplets(dataset: Dataset, split: str) -> Iterator[Row]:
    for row in _rows(dataset, "groups", split, ("query", "positive", "negatives")):
        margin = row["positive"]["logit_margin"]
        for negative in row["negatives"]:
            if margin is not None and negative["logit_margin"] is not None:
                told = {"query": row["query"], "positive": _video(row["positive"]), "negative": _video(negative)}
                yield {**told, "score": margin - negative["logit_margin"]}


def _lists(dataset: Dataset, split: str) -> Iterator[Row]:
    """All judged videos of each query, in the order of the pairs."""
    lists: dict[str, Row] = {}
    for row in _rows(dataset, "pairs", split, ("query_id", "query", "video_path", "label")):
        entry = lists.setdefault(row["query_id"], {"query": row["query"], "docs": [], "labels": []})
        entry["docs"].append(_video(row))
        entry["labels"].append(row["label"])
    yield from lists.values()


def _video(row: Row) -> dict[str, str]:
    return {"video": row["video_path"]}


def _rows(dataset: Dataset, config: str, split: str, columns: Sequence[str]) -> Iterator[Row]:
    return (row for where, row in dataset.rows(config, columns) if where == split)
