"""MultiVENT 2.0: `*_queries.csv` (Query_id,query), `*_judgments.jsonl` (query_id, doc_id, relevance), CSVs of ids."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import member, read_csv
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects

SPLITS = ("train", "test", "val")


def read(paths: Sequence[Path]) -> Imported:
    """Graded judgments are kept as they are. A file whose name begins with a split's (train, test) gives that split to
    the videos of its ids and judgments."""
    found = Imported("multivent")
    for path in paths:
        split = next((name for name in SPLITS if path.name.lower().startswith(name)), None)
        if path.suffix == ".jsonl":
            for number, row in read_objects(path):
                where = f"{path}, line {number}"
                query, video = member(where, row, "query_id"), member(where, row, "doc_id")
                found.judgment(where, query, video, member(where, row, "relevance"))
                found.video(where, video, split=split)
        elif path.suffix == ".csv" and _is_queries(path):
            for where, cells in read_csv(path, ("Query_id", "query")):
                found.query(where, cells["Query_id"], cells["query"], language=cells.get("language"))
        elif path.suffix == ".csv":
            for where, id in _ids(path):
                found.video(where, id, split=split)
        else:
            raise UsageError(f"{path}: neither a .csv of queries or ids nor a .jsonl of judgments")
    return found


def _is_queries(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return "query" in file.readline().lower().split(",")[-1]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error


def _ids(path: Path) -> list[tuple[str, str]]:
    """The first column; a header is known by having no digit."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [(f"{path}, line {number}", row[0]) for number, row in enumerate(csv.reader(file), 1) if row]
    return rows[1:] if rows and not any(char.isdigit() for char in rows[0][1]) else rows
