"""Files of others, read line by line with errors that name the line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from hardcut.publish._csv import csv_rows
from hardcut.publish.formats.imported import Imported
from hardcut.publish.given_splits import SPLIT_NAMES
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json
from hardcut.schemas.query_columns import ID_COLUMNS, column
from hardcut.schemas.records import Span, Split


def read_json(path: Path) -> Any:
    """A whole JSON file. Raises UsageError naming file and line."""
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}: not JSON ({error.msg}, column {error.colno})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON that can be kept ({error})") from error


def read_csv(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[str, dict[str, str]]]:
    """(where, row by column) of a file with a header. Raises UsageError where a column lacks or a line is too short."""

    def with_header(file: TextIO) -> csv.DictReader[str]:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise UsageError(f"{path}, line 1: no column {missing[0]!r}, expected {', '.join(columns)}")
        return reader

    for number, row in csv_rows(path, with_header):
        where = f"{path}, line {number}"
        if None in row or any(row[name] is None for name in columns):
            raise UsageError(f"{where}: another number of columns than the header has")
        yield where, row


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """(where, line) of a text file, without blank ones. Raises UsageError where it is no UTF-8."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}, line {number}", line.strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error


def read_queries(path: Path) -> Iterator[tuple[str, str, str]]:
    """(where, id, text) of a .tsv of queries, with a line of names or without. Raises UsageError where a tab lacks."""
    for number, (where, line) in enumerate(read_lines(path)):
        id, tab, text = line.partition("\t")
        if not tab:
            raise UsageError(f"{where}: no tab between id and text")
        if number or column(id) not in ID_COLUMNS:
            yield where, id.strip(), text


def header_of(path: Path) -> list[str]:
    """The names in the first line of a .csv, in small letters."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return [name.strip().strip('"').lower() for name in file.readline(10_000).split(",")]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error


def split_of_name(path: Path) -> Split | None:
    """The split that a part of a file's name gives, such as `train_ids.csv` or `highlight_val_release.jsonl`."""
    parts = re.split(r"[^a-z]+", path.stem.lower())
    found = {SPLIT_NAMES[part] for part in parts if part in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON file that is a list of them. Raises UsageError."""
    whole = read_json(path)
    if not isinstance(whole, list) or not all(isinstance(one, dict) for one in whole):
        raise UsageError(f"{path}: not a list of objects")
    yield from whole


def read_spans(found: Imported, where: str, time: Any) -> tuple[Span, ...]:
    """A span out of [start, end] in seconds. A few published ones end before they start: these are noted, and none."""
    try:
        start, end = (float(each) for each in time)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {time!r} is not [start, end] in seconds") from error
    try:
        return (Span(start=start, end=end),)
    except ValueError:
        found.skip(where, "no_span", f"[{start:g}, {end:g}] is no stretch of a video; the judgment is kept without it")
        return ()


def member(where: str, row: Any, name: str) -> Any:
    """A field that must be there. Raises UsageError naming it."""
    if not isinstance(row, dict) or name not in row:
        raise UsageError(f"{where}: no field {name!r}")
    return row[name]
