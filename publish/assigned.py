"""The file of a dataset that says where everything was in the versions before it: `assigned.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path

from hardcut.publish.dataset import DamagedDataset, Dataset
from hardcut.publish.inherited import Earlier
from hardcut.publish.splits import SPLITS
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.records import Split

ASSIGNED = "assigned.jsonl"
"""A line for each query, each video and each content (`id` is its sha256) of the versions before, with its split. It is
carried on from version to version, so that what leaves and comes back finds its split again."""


def read_earlier(dataset: Dataset) -> Earlier:
    """Where the dataset has its videos and queries, and where the versions before it had theirs.

    Raises UsageError for a folder that is no dataset, DamagedDataset for one that was altered.
    """
    dataset.refuse_altered(("corpus", "queries"), (ASSIGNED,))
    before = read_assigned(dataset.folder)
    videos, queries, contents = dict(before.videos), dict(before.queries), dict(before.contents)
    for split, row in dataset.rows("corpus", ("video_id", "sha256")):
        videos[row["video_id"]] = contents[row["sha256"]] = _split(split)
    for split, row in dataset.rows("queries", ("query_id",)):
        queries[row["query_id"]] = _split(split)
    return Earlier(videos, queries, contents)


def read_assigned(folder: Path) -> Earlier:
    """What the dataset's `assigned.jsonl` says: nothing, where it is the first of its line."""
    path = folder / ASSIGNED
    splits: dict[str, dict[str, Split]] = {"content": {}, "query": {}, "video": {}}
    try:
        for _, row in read_objects(path) if path.exists() else ():
            splits[row["kind"]][row["id"]] = _split(row["split"])
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise DamagedDataset(f"{path}: not as it was written ({error}): export the run again") from error
    return Earlier(splits["video"], splits["query"], splits["content"])


def write_assigned(folder: Path, earlier: Earlier) -> None:
    """Writes `assigned.jsonl` into the folder of a dataset."""
    kinds = (("content", earlier.contents), ("query", earlier.queries), ("video", earlier.videos))
    with (folder / ASSIGNED).open("w", encoding="utf-8", newline="\n") as file:
        for kind, splits in kinds:
            for id, split in sorted(splits.items()):
                file.write(json.dumps({"kind": kind, "id": id, "split": split}, ensure_ascii=False) + "\n")


def _split(name: object) -> Split:
    for split in SPLITS:
        if split == name:
            return split
    raise ValueError(f"{name!r} is no split")
