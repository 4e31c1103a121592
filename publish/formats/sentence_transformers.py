"""sentence-transformers: files for its CrossEncoder trainer, JSON Lines that `load_dataset("json", ...)` reads.

Column order is what its losses go by: the inputs first, then `label`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """For each split `SPLIT.pairs.jsonl` (query, video, label: for BinaryCrossEntropyLoss; with the teacher's margin as
    `score` for MSELoss), `SPLIT.groups.jsonl` (query, positive, negative_1 ... negative_K: for ranking losses over
    positives and negatives) and `SPLIT.lists.jsonl` (query, docs, labels: for LambdaLoss and other listwise losses).

    A video is its path in the original collection. Rows by file.
    """
    counts: dict[str, int] = {}
    for wanted in dataset.splits("pairs"):
        lists: dict[str, list[tuple[str, int]]] = defaultdict(list)
        texts: dict[str, str] = {}
        with atomic_writer(out / f"{wanted}.pairs.jsonl") as file:
            columns = ("query_id", "query", "video_path", "label", "logit_margin")
            for split, row in dataset.rows("pairs", columns):
                if split == wanted:
                    texts[row["query_id"]] = row["query"]
                    lists[row["query_id"]].append((row["video_path"], row["label"]))
                    told = {"query": row["query"], "video": row["video_path"], "label": float(row["label"] > 0)}
                    file.write(_line({**told, "score": row["logit_margin"]}))
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
            f"{wanted}.groups.jsonl": dataset.count("groups", wanted),
            f"{wanted}.lists.jsonl": len(lists),
        }
    return counts


def _line(row: dict[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
