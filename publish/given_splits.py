"""The splits that the user gave: in videos' metadata, with queries, or in a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.publish._csv import csv_rows
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_objects
from hardcut.schemas.records import Query, Split, Video

SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "validate", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
"""What others call the splits."""


@dataclass(frozen=True, slots=True)
class QueryRef:
    """What of a query its split depends on."""

    source_video_id: str | None
    parent_query_id: str | None
    kind: str = "event"
    text: str = ""
    external_id: str | None = None
    split: Split | None = None
    reference_video_id: str | None = None

    @classmethod
    def from_query(cls, query: Query) -> QueryRef:
        return cls(
            query.source_video_id, query.parent_query_id, query.kind, query.text, query.external_id, query.split,
            query.reference_video_id,
        )  # fmt: skip


def read_splits(path: Path) -> dict[str, Split]:
    """Splits by id of video or query: a .jsonl, or a .csv or .tsv with a header, with `id` and `split`.

    Raises UsageError naming file and line: another split than train, validation and test (or val, dev, ...), an id
    given twice.
    """
    found: dict[str, Split] = {}
    for line, row in _rows(path):
        id, split = row.get("id"), row.get("split")
        if id in (None, "") or isinstance(id, bool) or not isinstance(id, str | int):
            raise UsageError(f"{path}, line {line}: no id: a split file has the columns `id` and `split`")
        if str(id) in found:
            raise UsageError(f"{path}, line {line}: {id} has a split already: remove one of the lines")
        found[str(id)] = _split(split, f"{path}, line {line}")
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix.lower() == ".jsonl":
        yield from read_objects(path)
        return
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise UsageError(f"{path}: splits come as .csv, .tsv or .jsonl")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    yield from csv_rows(path, lambda file: csv.DictReader(file, delimiter=delimiter))


def _split(value: object, where: str) -> Split:
    name = value.strip().casefold() if isinstance(value, str) else ""
    if name not in SPLIT_NAMES:
        raise UsageError(f"{where}: {value!r} is no split: train, validation or test")
    return SPLIT_NAMES[name]


def given_splits(
    videos: Sequence[Video], queries: Mapping[str, QueryRef], settings: ExportSettings
) -> dict[str, Split]:
    """The splits that the user gave, by our ids; a file outranks what videos and queries say.

    Raises UsageError where a split cannot be read, or where a file names nothing that is there.
    """
    field = settings.split_field
    found = {
        video.video_id: _of_field(video.metadata[field], video.video_id, field)
        for video in videos
        if video.metadata.get(field) not in (None, "")
    }
    found |= {id: ref.split for id, ref in queries.items() if ref.split is not None}
    if settings.splits is None:
        return found
    known = {ref.external_id: query_id for query_id, ref in queries.items() if ref.external_id is not None}
    known.update({id: id for id in [*queries, *(video.video_id for video in videos)]})
    listed = read_splits(Path(settings.splits))
    unknown = sorted(id for id in listed if id not in known)
    if len(unknown) == len(listed):
        raise UsageError(f"{settings.splits}: none of its ids is a video or a query of the run, such as {unknown[:3]}")
    return {**found, **{known[id]: split for id, split in listed.items() if id in known}}


def _of_field(value: object, video_id: str, field: str) -> Split:
    try:
        return _split(value, f"video {video_id}, metadata field {field!r}")
    except UsageError as error:
        raise UsageError(f"{error}; where the field says something else, name another in export.split_field") from error
