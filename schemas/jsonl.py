"""Reads and writes JSON Lines: one record a line. Errors name file, line and field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO, TypeVar, cast

import jsonlines
from pydantic import ValidationError

from hardcut.schemas.base import Record
from hardcut.schemas.errors import RecordError, UsageError
from hardcut.schemas.limits import whole_number

R = TypeVar("R", bound=Record)

_MEND = ": delete the file and start its run again, which writes it anew"
"""What to do about a file that somebody changed: the run's ledger has all that stood in it."""


def format_record(record: Record) -> str:
    """The one JSON text of a record: fields in the order of the class, no spaces, no line break."""
    return record.model_dump_json()


def parse_record(kind: type[R], text: str) -> R:
    """The record in a JSON text that Hardcut itself wrote (a ledger's body). Raises pydantic's ValidationError."""
    return kind.model_validate_json(text)


def read_records(path: Path, kind: type[R]) -> Iterator[R]:
    """The records of a run's file, one at a time. Empty lines are skipped.

    Raises UsageError where there is no such file, RecordError naming file, line and field where a line is not a `kind`.
    """
    with _open(path) as file, jsonlines.Reader(file, loads=kind.model_validate_json) as reader:
        try:
            yield from cast(Iterator[R], reader.iter(skip_empty=True))
        except jsonlines.InvalidLineError as error:
            raise RecordError(f"{path}, line {error.lineno}: {_explain(error.__cause__, kind)}{_MEND}") from error
        except UnicodeDecodeError as error:
            raise RecordError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}){_MEND}") from error


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a JSON Lines file that others wrote. Errors as `read_records`. NaN and half a surrogate
    pair, which our files never have, are errors too."""
    with _open(path) as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _object(line, f"{path}, line {number}")
        except UnicodeDecodeError as error:
            raise RecordError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def _open(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error


def parse_json(text: str) -> Any:
    """A JSON value that others wrote. Raises ValueError for text that is no JSON, and for NaN, numbers that are too
    long, halves of surrogate pairs and nesting that is too deep."""
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large for a number")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite, parse_int=whole_number)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise RecordError(f"{where}: not a JSON object ({error})") from error
    if not isinstance(value, dict):
        raise RecordError(f"{where}: not a JSON object")
    return value


def write_records(file: IO[str], records: Iterable[Record]) -> int:
    """Writes records as they come and returns their number. The caller opens the file, atomically where it matters."""
    count = 0
    for record in records:
        file.write(format_record(record) + "\n")
        count += 1
    return count


def _explain(cause: BaseException | None, kind: type[Record]) -> str:
    if isinstance(cause, ValidationError):
        first = cause.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the line"
        return f"{field}: {first['msg']} (a {kind.__name__} is expected; `hardcut schema {kind.__name__}` shows it)"
    return f"not a {kind.__name__} ({cause})"
