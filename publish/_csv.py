"""CSV files of others."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from hardcut.schemas.errors import UsageError


def csv_rows(path: Path, make_reader: Callable[[TextIO], Any]) -> Iterator[tuple[int, Any]]:
    """(line, row) of a file, read by a reader of `csv`. Raises UsageError naming the line where the file is no CSV."""
    reader = None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = make_reader(file)
            for row in reader:
                yield reader.line_num, row
    except csv.Error as error:
        line = reader.line_num if reader else 1
        raise UsageError(f"{path}, line {line}: not CSV ({error})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
