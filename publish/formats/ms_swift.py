"""ms-swift: files for `--task_type generative_reranker` (or `reranker`) and `--task_type embedding`.

Each group of messages has its own list of videos, as long as the `<video>` tags in it are many (ms-swift 4; in 3.x one
list serves all groups, so these files are not for it).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hardcut.publish.dataset import Row
from hardcut.publish.formats.chat import references, untagged
from hardcut.publish.formats.given import Given
from hardcut.publish.formats.writing import of_split, write_lines

_VIDEO = "<video>"


def write(given: Given, out: Path) -> dict[str, int]:
    """`SPLIT.reranker.jsonl` and `SPLIT.embedding.jsonl` for each split: a training group each, one positive and its
    negatives. The two differ in the role that documents have. A composed query shows its reference video. Rows by
    file."""
    return {
        name: write_lines(out / name, _groups(given, split, role))
        for split in given.splits("groups")
        for name, role in ((f"{split}.reranker.jsonl", "assistant"), (f"{split}.embedding.jsonl", "user"))
    }


def _groups(given: Given, split: str, role: str) -> Iterator[Row]:
    for row in of_split(given, "groups", split, ("query_id", "query", "positive", "negatives")):
        shown = references(given, row)
        query = _VIDEO * len(shown) + untagged(row["query"])
        found: Row = {"messages": [{"role": "user", "content": query}], "videos": [*shown]}
        for name, documents in (("positive", [row["positive"]]), ("negative", row["negatives"])):
            found[f"{name}_messages"] = [[{"role": role, "content": _VIDEO}] for _ in documents]
            found[f"{name}_videos"] = [[document["video_path"]] for document in documents]
        yield found
