"""sentence-transformers: files for its CrossEncoder trainer, JSON Lines that `load_dataset("json", ...)` reads.

Columns are what its losses go by: the inputs in their order, and one of `label`, `labels` or `score`. A second of these
would be taken for an input, so every file has one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """For each split `SPLIT.pairs.jsonl` (query, video, label: for BinaryCrossEntropyLoss), `SPLIT.margins.jsonl`
    (query, video, score: the teacher's margin, where it is known, for MSELoss), `SPLIT.groups.jsonl` (query, positive,
    negative_1 ... negative_K: for ranking losses over positives and negatives) and `SPLIT.lists.jsonl` (query, docs,
    labels: for LambdaLoss and other listwise losses).

    A video is its path in the original collection. Rows by file.
    """
    counts: dict[str, int] = {}
    for wanted in dataset.splits("pairs"):
        lists: dict[str, list[tuple[str, int]]] = defaultdict(list)
        texts: dict[str, str] = {}
        scored = 0
        with (
            atomic_writer(out / f"{wanted}.pairs.jsonl") as labels,
            atomic_writer(out / f"{wanted}.margins.jsonl") as margins,
        ):
            columns = ("query_id", "query", "video_path", "label", "logit_margin")
            for split, row in dataset.rows("pairs", columns):
                if split == wanted:
                    texts[row["query_id"]] = row["query"]
                    lists[row["query_id"]].append((row["video_path"], row["label"]))
                    pair = {"query": row["query"], "video": row["video_path"]}
                    labels.write(_line({**pair, "label": float(row["label"] > 0)}))
                    if row["logit_margin"] is not None:
                        margins.write(_line({**pair, "score": row["logit_margin"]}))
                        scored += 1
        with atomic_writer(out / f"{wanted}.groups.jsonl") as file:
            for split, row in dataset.rows("groups", ("query", "positive", "negatives")):
                if split == wanted:
                    paths = {f"negative_{n}": one["video_path"] for n, one in enumerate(row["negatives"], 1)}
                    file.write(_line({"query": row["query"], "positive": row["positive"]["video_path"], **paths}))
        with atomic_writer(out / f"{wanted}.lists.jsonl") as file:
            for query_id, docs in lists.items():
                told_docs = {"docs": [path for path, _ in docs], "labels": [label for _, label in docs]}
                file.write(_line({"query": texts[query_id], **told_docs}))
        counts |= {
            f"{wanted}.pairs.jsonl": dataset.count("pairs", wanted),
            f"{wanted}.margins.jsonl": scored,
            f"{wanted}.groups.jsonl": dataset.count("groups", wanted),
            f"{wanted}.lists.jsonl": len(lists),
        }
    return counts


def _line(row: dict[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
