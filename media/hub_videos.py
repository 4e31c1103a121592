"""A dataset with a column of videos: a folder that `datasets` reads, or one on the Hub.

A row is like a line of a manifest: `path` (or what the video is called) names the file, `video_id` or `id` its id, and
other columns of plain values are metadata. The library keeps the dataset whole in a folder of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from hardcut.media.file_cache import Opened
from hardcut.media.manifest import ManifestEntry, given_id, relative_path
from hardcut.media.video_files import VIDEO_SUFFIXES
from hardcut.schemas.errors import ItemError, Unreachable, UsageError

_PIECE = 2**20


class Row(NamedTuple):
    """A video of the dataset."""

    relative: str
    entry: ManifestEntry
    origin: RowVideo


class BadRow(NamedTuple):
    """A row that is not taken: its name, a stable word and a sentence."""

    item: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class RowVideo:
    """The video of a row: `videos` gives it as bytes, or names a file that must lie in the folder `within`."""

    videos: Any
    column: str
    row: int
    within: Path
    state: str

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Raises ItemError: unreadable, outside_root."""
        found = self.videos[self.row][self.column] or {}
        content = found.get("bytes")
        if content is None:
            content = self._file(found.get("path"))
        yield Opened(len(content), (content[at : at + _PIECE] for at in range(0, len(content), _PIECE)))

    def _file(self, named: str | None) -> bytes:
        if not named:
            raise ItemError("unreadable", "the row has no video")
        path = (self.within / named).resolve()
        if not path.is_relative_to(self.within.resolve()):
            raise ItemError("outside_root", "the row names a file outside of the dataset: put its bytes into the row")
        try:
            return path.read_bytes()
        except OSError as error:
            raise ItemError("unreadable", f"the row names a file that cannot be read: {error.strerror}") from error


def read_dataset(name: str, memory: Path) -> tuple[list[Row], list[BadRow]]:
    """The rows of a dataset, all splits, and those that are not taken. `name` is a folder or `ORG/NAME[@REVISION]`;
    `memory` is where the library keeps what it makes of it.

    Raises UsageError where there is no such dataset, or not one column of videos; Unreachable.
    """
    _without_bars()
    folder = Path(name).expanduser()
    local = folder if folder.is_dir() else _snapshot(name)
    within = folder if folder.is_dir() else local.parent.parent  # snapshots are links into the client's cache
    rows: dict[str, Row] = {}
    bad: list[BadRow] = []
    for split, table in _splits(name, local, memory).items():
        for row in _rows_of(table, split, _video_column(name, table), local, within):
            if isinstance(row, Row) and row.relative in rows:
                detail = f"{row.relative} is {rows[row.relative].entry.where} too: give each a `path`"
                bad.append(BadRow(row.entry.where, "listed_twice", detail))
            elif isinstance(row, Row):
                rows[row.relative] = row
            else:
                bad.append(row)
    return list(rows.values()), bad


def _rows_of(table: Any, split: str, column: str, local: Path, within: Path) -> Iterator[Row | BadRow]:
    import datasets

    plain = [name for name, kind in table.features.items() if name != column and _is_plain(kind)]
    videos = table.cast_column(column, datasets.Video(decode=False)).select_columns([column])
    named = [name for chunk in videos.data.column(column).chunks for name in chunk.field("path").to_pylist()]
    state = table._fingerprint  # the library's own name for a table: it changes with its files
    facts = table.select_columns(plain) if plain else [{}] * len(table)
    for number, row in enumerate(facts):
        where = f"{split}, row {number}"
        told = {name: value for name, value in row.items() if value is not None}
        try:
            relative = relative_path(told.pop("path", None) or _name(named[number], local), where)
            entry = ManifestEntry(where, given_id(told, where), told)
        except UsageError as error:
            yield BadRow(where, "unusable", str(error).removeprefix(f"{where}: "))
            continue
        if PurePosixPath(relative).suffix.lower() not in VIDEO_SUFFIXES:
            yield BadRow(where, "not_a_video", f"{relative} has no video's suffix: name it in a column `path`")
        else:
            yield Row(relative, entry, RowVideo(videos, column, number, within, f"{state} {number}"))


def _name(named: str | None, local: Path) -> str | None:
    """What a row calls its video; a file of the dataset by its path there."""
    if named is None or not Path(named).is_absolute():
        return named
    path = Path(named)
    return path.relative_to(local).as_posix() if path.is_relative_to(local) else path.name


def _is_plain(kind: Any) -> bool:
    """Whether a column can be metadata: values, and lists and groups of them."""
    import datasets

    if isinstance(kind, dict):
        return all(_is_plain(each) for each in kind.values())
    if isinstance(kind, datasets.List):
        return _is_plain(kind.feature)
    plain = ("string", "large_string", "bool", "int", "uint", "float")
    return isinstance(kind, datasets.Value) and kind.dtype.startswith(plain)


def _snapshot(name: str) -> Path:
    """A dataset of the Hub in the client's own cache. What is there already is not fetched again."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    repo, _, revision = name.partition("@")
    try:
        return Path(huggingface_hub.snapshot_download(repo, repo_type="dataset", revision=revision or None))
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UsageError(f"dataset:{name}: no such folder, and no such dataset on the Hub: check its name") from error
    except Exception as error:
        raise Unreachable(f"dataset:{name}: the Hub does not give it ({type(error).__name__}): start again") from error


def _without_bars() -> None:
    """Neither library draws bars where nobody looks."""
    if not sys.stderr.isatty():
        import datasets
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        datasets.disable_progress_bars()


def _splits(name: str, local: Path, memory: Path) -> dict[str, Any]:
    import datasets

    try:
        if (local / "state.json").is_file() or (local / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(str(local))
        else:
            found = datasets.load_dataset(str(local), cache_dir=str(memory))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        told = " ".join(str(error).split())[:300]
        raise UsageError(f"dataset:{name}: `datasets` cannot read it: {told}") from error
    return {"train": found} if isinstance(found, datasets.Dataset) else dict(found)


def _video_column(name: str, table: Any) -> str:
    import datasets

    columns = [column for column, kind in table.features.items() if isinstance(kind, datasets.Video)]
    if len(columns) != 1:
        there = ", ".join(f"{column} ({type(kind).__name__})" for column, kind in table.features.items())
        raise UsageError(f"dataset:{name}: it must have one column of videos (datasets.Video), and has {there}")
    return str(columns[0])
