"""Files of benchmarks, read with errors that name file and line."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json

_LARGEST_CELL = 1 << 24
"""Characters: lists of a whole split stand in one cell."""


@contextmanager
def _large_cells() -> Iterator[None]:
    """The limit of the process, which guards other readers, comes back at the end."""
    usual = csv.field_size_limit(_LARGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(where, row by column). Raises UsageError where a column lacks or a line has another number of cells."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file, _large_cells():
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{path}, line 1: no column {missing[0]!r}, expected {', '.join(columns)}")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or any(value is None for value in row.values()):
                    raise UsageError(f"{where}: another number of columns than the header has")
                yield where, row
    except csv.Error as error:
        raise UsageError(f"{path}: not CSV ({error})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error


def header(path: Path) -> list[str]:
    """The names of the columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error


def json_object(path: Path) -> dict[str, Any]:
    """A file that is one JSON object."""
    try:
        found = parse_json(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: not a JSON object")
    return found


def literal(where: str, text: str, kind: type) -> Any:
    """A Python literal of a kind in a cell. Nothing is run."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UsageError(f"{where}: {text[:60]!r} is no Python {kind.__name__}") from error
    if not isinstance(found, kind):
        raise UsageError(f"{where}: {text[:60]!r} is no Python {kind.__name__}")
    return found


def one_file(name: str, files: Sequence[Path], suffix: str) -> Path:
    """The only file with this ending."""
    found = [path for path in files if path.suffix == suffix]
    if len(found) != 1:
        raise UsageError(f"--benchmark {name} takes one {suffix} file, and {len(found)} were given (--file)")
    return found[0]
