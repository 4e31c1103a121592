"""Tevatron: its training file (query_id, query_text, positive_document_ids, negative_document_ids) and corpus (docid,
text, video), as its TrainDataset reads them, and the queries to encode; videos are found under `--assets_path`."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset
from hardcut.publish.formats.writing import public_ids


def write(dataset: Dataset, out: Path) -> dict[str, int]:
    """`corpus.jsonl`, and for each split `SPLIT.queries.jsonl`, all queries, and `SPLIT.jsonl`, those that have a
    positive and a negative. A document's `text` is empty: it is encoded beside the video unless `--encode_text False`,
    and a model would learn to read captions and titles that no video has. Rows by file."""
    names = public_ids(dataset)
    with atomic_writer(out / "corpus.jsonl") as file:
        for _, row in dataset.rows("corpus", ("video_id", "video_path")):
            document = {"docid": row["video_id"], "text": "", "video": row["video_path"]}
            file.write(json.dumps(document, ensure_ascii=False) + "\n")
    counts = {"corpus.jsonl": dataset.count("corpus")}
    for wanted in dataset.splits("pairs"):
        positives: defaultdict[str, list[str]] = defaultdict(list)
        negatives: defaultdict[str, list[str]] = defaultdict(list)
        texts: dict[str, str] = {}
        for split, row in dataset.rows("pairs", ("query_id", "query", "video_id", "label")):
            if split == wanted:
                texts[row["query_id"]] = row["query"]
                (positives if row["label"] > 0 else negatives)[row["query_id"]].append(row["video_id"])
        usable = [query_id for query_id in texts if positives[query_id] and negatives[query_id]]
        with atomic_writer(out / f"{wanted}.jsonl") as file:
            for query_id in usable:
                told_query = {
                    "query_id": names[query_id],
                    "query_text": texts[query_id],
                    "positive_document_ids": positives[query_id],
                    "negative_document_ids": negatives[query_id],
                }
                file.write(json.dumps(told_query, ensure_ascii=False) + "\n")
        counts[f"{wanted}.jsonl"] = len(usable)
        with atomic_writer(out / f"{wanted}.queries.jsonl") as file:
            for split, row in dataset.rows("queries", ("query_id", "query")):
                if split == wanted:
                    document = {"query_id": names[row["query_id"]], "query_text": row["query"]}
                    file.write(json.dumps(document, ensure_ascii=False) + "\n")
        counts[f"{wanted}.queries.jsonl"] = dataset.count("queries", wanted)
    return counts
