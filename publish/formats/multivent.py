"""MultiVENT 2.0: `*_queries.csv` (Query_id,query), `*_judgments.jsonl` (query_id, doc_id, relevance), CSVs of ids."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hardcut.publish._csv import csv_rows
from hardcut.publish.formats.imported import Imported
from hardcut.publish.formats.reading import header_of, member, read_csv, split_of_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects

_HEADER = re.compile(r"((video|doc|document)[ _-]?)?ids?")


def read(paths: Sequence[Path]) -> Imported:
    """Graded judgments are kept as they are. A file whose name has a split's in it (train, test) gives that split to
    its queries, and to the videos of its ids and judgments."""
    found = Imported("multivent")
    for path in paths:
        split = split_of_name(path)
        if path.suffix.lower() == ".jsonl":
            for number, row in read_objects(path):
                where = f"{path}, line {number}"
                query, video = member(where, row, "query_id"), member(where, row, "doc_id")
                found.judgment(where, query, video, member(where, row, "relevance"))
                found.video(where, video, split=split)
        elif path.suffix.lower() == ".csv" and "query" in header_of(path):
            for where, cells in read_csv(path, ("Query_id", "query")):
                found.query(where, cells["Query_id"], cells["query"], split=split, language=cells.get("language"))
        elif path.suffix.lower() == ".csv":
            for where, id in _ids(path):
                found.video(where, id, split=split)
        else:
            raise UsageError(f"{path}: neither a .csv of queries or ids nor a .jsonl of judgments")
    return found


def _ids(path: Path) -> Iterator[tuple[str, str]]:
    """The first column, with or without a header."""
    for number, row in csv_rows(path, csv.reader):
        if row and not (number == 1 and _HEADER.fullmatch(row[0].strip().lower())):
            yield f"{path}, line {number}", row[0]
