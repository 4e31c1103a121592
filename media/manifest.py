"""A manifest: the list of a collection's videos with ids and metadata, as `.csv` with a header or as `.jsonl`.

`path` (relative to the root) is required, `video_id` or `id` optional, everything else is metadata.
"""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json
from hardcut.schemas.limits import MAX_ID


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """What a manifest says about one video; `where` is its file and line, for messages."""

    where: str
    video_id: str | None
    metadata: dict[str, JsonValue]


def read_manifest(manifest: Path) -> dict[str, ManifestEntry]:
    """The entries by normalised POSIX path. Raises UsageError that names file and line; touches none of the videos."""
    if manifest.suffix.lower() not in (".csv", ".jsonl"):
        raise UsageError(f"{manifest}: a manifest is a .csv or a .jsonl file")
    entries: dict[str, ManifestEntry] = {}
    try:
        for line, row in read_rows(manifest, "path"):
            where = f"{manifest}, line {line}"
            relative = relative_path(row.pop("path", None), where)
            if relative in entries:
                raise UsageError(f"{where}: {relative} is listed already ({entries[relative].where}): remove one line")
            entries[relative] = ManifestEntry(where, given_id(row, where), row)
    except OSError as error:
        raise UsageError(f"{manifest}: the manifest cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{manifest}: not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error
    if not entries:
        raise UsageError(f"{manifest}: the manifest lists no video")
    return entries


def parse_object(text: str, file: Path | str, line: int = 1) -> dict[str, JsonValue]:
    """A JSON object that starts at `line` of `file`. Raises UsageError for all else, also NaN and lone surrogates."""
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        where = f"{file}, line {line + error.lineno - 1}"
        raise UsageError(f"{where}: not JSON ({error.msg}, column {error.colno}): correct or remove it") from error
    except ValueError as error:
        raise UsageError(f"{file}, line {line}: not JSON that can be kept ({error}): correct or remove it") from error
    if not isinstance(value, dict):
        raise UsageError(f"{file}, line {line}: must be a JSON object ({{...}}) and is {type(value).__name__}")
    return value


def read_rows(file: Path, column: str) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    """The rows of a `.csv` with a header that names `column`, or of a `.jsonl`, each with its line. Raises UsageError,
    OSError, UnicodeDecodeError."""
    return _csv_rows(file, column) if file.suffix.lower() == ".csv" else _jsonl_rows(file)


def relative_path(path: JsonValue, where: str) -> str:
    """A path under the root, normalised. Raises UsageError for anything else."""
    if not isinstance(path, str) or not path or "\0" in path:
        raise UsageError(f"{where}: `path` must be the path of a video, relative to the folder")
    relative = posixpath.normpath(path)
    if posixpath.isabs(path) or relative == ".." or relative.startswith("../"):
        raise UsageError(f"{where}: {path} is outside the folder: a path must be relative to the folder and stay in it")
    return relative


def given_id(row: dict[str, JsonValue], where: str) -> str | None:
    """Takes `video_id` or `id` out of a row. Raises UsageError where it is no id."""
    value = row.pop("video_id", None) or row.pop("id", None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) > MAX_ID:
        raise UsageError(f"{where}: an id must be a text of at most {MAX_ID} characters")
    return str(value)


def _csv_rows(manifest: Path, column: str) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    with manifest.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            if column not in header or len(set(header)) != len(header):
                raise UsageError(f"{manifest}, line 1: the header must name a column `{column}` and no column twice")
            for row in reader:
                if row and len(row) != len(header):
                    raise UsageError(
                        f"{manifest}, line {reader.line_num}: {len(row)} fields, the header has {len(header)}"
                    )
                if row:
                    yield reader.line_num, {name: value for name, value in zip(header, row, strict=True) if value}
        except csv.Error as error:
            raise UsageError(f"{manifest}, line {reader.line_num}: not CSV ({error})") from error


def _jsonl_rows(manifest: Path) -> Iterator[tuple[int, dict[str, JsonValue]]]:
    with manifest.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, parse_object(line.strip(), manifest, number)
