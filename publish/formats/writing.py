"""What the exporters share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardcut.engine.files import atomic_writer
from hardcut.publish._parquet import arrow_schema
from hardcut.publish.dataset import Dataset, Row
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.text.seen import unseen_claims, without

if TYPE_CHECKING:
    from datasets import Features

TEACHER = "teacher"
"""What the run of the teacher's margins is called; a first stage of this name gets another."""
_ROWS_TOGETHER = 64
"""Rows of a group of a table, and in memory: a row may hold the pictures of two videos, a megabyte."""
UNSEEN = frozenset({"metadata", "speech"})
"""Kinds of evidence that no picture shows."""


def public_ids(dataset: Dataset) -> dict[str, str]:
    """The id under which others know a query: the user's own where there is one, else ours."""
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for _, row in dataset.rows("queries", ("query_id", "external_id")):
        name = row["external_id"] or row["query_id"]
        if name in taken:
            raise UsageError(f"the queries {taken[name]} and {row['query_id']} are both called {name}: rename one")
        taken[name] = row["query_id"]
        found[row["query_id"]] = name
    return found


def run_name(name: str) -> str:
    """A run's name as a part of a file's name: letters, digits, `-`, `_` and `.`; one that had to be changed ends in a
    piece of its digest, so that two never meet."""
    safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in name)
    return name if safe == name != TEACHER else f"{safe}-{digest(name)[:6]}"


def write_lines(path: Path, rows: Iterable[Any]) -> int:
    """Writes JSON Lines and returns how many there are."""
    count = 0
    with atomic_writer(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_table(path: Path, rows: Iterable[Row], features: Features) -> int:
    """Writes Parquet whose columns `datasets` knows the kinds of (a picture, a video), some rows at a time, and returns
    how many rows there are. Without one there is no file: in `datasets` an empty one keeps its neighbours from being
    opened."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, writer, count = arrow_schema(features), None, 0
    left = iter(rows)
    while some := list(islice(left, _ROWS_TOGETHER)):
        if writer is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = pq.ParquetWriter(path, schema, compression="zstd")
        writer.write_table(pa.Table.from_pylist(some, schema=schema))
        count += len(some)
    if writer is not None:
        writer.close()
    return count


def of_split(dataset: Dataset, config: str, split: str, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """The rows of one split of a config."""
    return (row for found, row in dataset.rows(config, columns) if found == split)


def seen_caption(row: Row) -> str | None:
    """What a row of `captions` says that a model of pictures alone can see: no claim that rests on titles, other
    metadata or speech alone. None where that is all it says."""
    hidden = unseen_claims(row["claims"], UNSEEN)
    return without(row["claims"], hidden) if hidden else str(row["caption"])


def told(dataset: Dataset) -> dict[str, str]:
    """What a model of words is given for each video, by id: its caption and what is said in it. A video that has
    neither is not there."""
    captions: dict[str, str] = {}
    for _, row in dataset.rows("captions", ("video_id", "caption")):
        captions.setdefault(row["video_id"], row["caption"])
    speech = {row["video_id"]: row["speech"] for _, row in dataset.rows("corpus", ("video_id", "speech"))}
    texts = {id: "\n".join(part for part in (captions.get(id), said) if part) for id, said in speech.items()}
    return {id: text for id, text in texts.items() if text}
