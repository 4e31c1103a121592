"""FlagEmbedding: texts alone, so a video is what was told of it. For rerankers of words, as the text-only baseline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hardcut.publish.dataset import Row
from hardcut.publish.formats.given import Given
from hardcut.publish.formats.writing import of_split, told, write_lines

UNTOLD = "videos: neither a caption nor speech, and the format holds texts alone"


def write(given: Given, out: Path) -> dict[str, int]:
    """For each split `SPLIT.jsonl` (query, pos, neg) and `SPLIT.scored.jsonl`, of the pairs whose margin the teacher
    gave, with pos_scores and neg_scores, for `--knowledge_distillation True`. A document is the video's caption and
    what is said in it. Queries without a positive or a negative train nothing and are in neither. Rows by file."""
    texts = told(given)
    untold = sum(row["video_id"] not in texts for _, row in given.rows("corpus", ("video_id",)))
    if untold:
        given.left_out[UNTOLD] = untold
    return {
        name: write_lines(out / name, _rows(given, split, texts, scored=scored))
        for split in given.splits("pairs")
        for name, scored in ((f"{split}.jsonl", False), (f"{split}.scored.jsonl", True))
    }


def _rows(given: Given, split: str, texts: dict[str, str], *, scored: bool) -> Iterator[Row]:
    found: dict[str, Row] = {}
    columns = ("query_id", "query", "video_id", "label", "logit_margin")
    for row in of_split(given, "pairs", split, columns):
        if row["video_id"] in texts and not (scored and row["logit_margin"] is None):
            side = "pos" if row["label"] > 0 else "neg"
            told_query = {"query": row["query"], "pos": [], "neg": []}
            entry = found.setdefault(
                row["query_id"], {**told_query, "pos_scores": [], "neg_scores": []} if scored else told_query
            )
            entry[side].append(texts[row["video_id"]])
            if scored:
                entry[f"{side}_scores"].append(row["logit_margin"])
    yield from (entry for entry in found.values() if entry["pos"] and entry["neg"])
