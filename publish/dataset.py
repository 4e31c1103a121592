"""A dataset's folder, opened for reading: what the gate, the exporters and the upload look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hardcut.engine.files import sha256_of
from hardcut.publish._folder import MARKER
from hardcut.publish.splits import SPLITS
from hardcut.schemas.errors import UsageError

FILES = "files"
"""The key of the marker under which the digests of all other files stand."""
LEFT_OUT = "left_out.jsonl"
"""What was judged and is in no split, and videos without a clip, each with its reason."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Dataset:
    """A dataset that Hardcut wrote. Rows are read from Parquet as they are asked for; nothing is kept."""

    folder: Path

    @cached_property
    def marker(self) -> Mapping[str, Any]:
        """What `hardcut.json` says. Raises UsageError where the folder is no dataset of ours."""
        path = self.folder / MARKER
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(f"{self.folder}: no {MARKER} in it: name a folder that `hardcut export` wrote") from error
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path}: cannot be read ({error})") from error
        if not isinstance(found, dict):
            raise UsageError(f"{path}: not an object")
        settings = found.get("settings", {})
        objects = [found.get("gate", {}), settings, *(settings.values() if isinstance(settings, dict) else ())]
        if not all(isinstance(one, dict) for one in objects):
            raise UsageError(f"{path}: its settings or gate are no objects: export the run again")
        return found

    @cached_property
    def configs(self) -> tuple[str, ...]:
        """The configs that have files."""
        data = self.folder / "data"
        return tuple(sorted(path.name for path in data.iterdir() if path.is_dir())) if data.is_dir() else ()

    def splits(self, config: str) -> tuple[str, ...]:
        """The splits of a config, in their order."""
        return tuple(split for split in SPLITS if self._shards(config, split))

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        """(split, row) of a config in the order of the files; `columns` are all that is read of it.

        Raises UsageError naming the file where one cannot be read or lacks a column.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        for split in SPLITS:
            for path in self._shards(config, split):
                try:
                    with pq.ParquetFile(path) as file:
                        missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
                        if missing:
                            raise UsageError(f"{path}: no column {missing[0]!r}: export the run again")
                        for batch in file.iter_batches(batch_size=2_000, columns=columns and list(columns)):
                            for row in batch.to_pylist():
                                yield split, row
                except (pa.ArrowException, OSError) as error:
                    raise UsageError(f"{path}: not readable as Parquet ({error}): export the run again") from error

    def count(self, config: str, split: str | None = None) -> int:
        """How many rows a config, or one split of it, has."""
        import pyarrow.parquet as pq

        splits = self.splits(config) if split is None else (split,)
        return sum(pq.read_metadata(path).num_rows for one in splits for path in self._shards(config, one))

    def _shards(self, config: str, split: str) -> list[Path]:
        return sorted((self.folder / "data" / config).glob(f"{split}-*.parquet"))


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 of every file of a dataset but its marker, by path; hidden files are none of it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.as_posix() != MARKER and not any(part.startswith(".") for part in name.parts):
            found[name.as_posix()] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
    return found


def verify(folder: Path) -> list[str]:
    """What of a dataset is not as its marker says: files that are missing, altered or not listed, a line each.

    Raises UsageError where the folder is no dataset of ours or names files outside of itself.
    """
    marker = Dataset(folder).marker
    listed = marker.get(FILES)
    if not isinstance(listed, dict):
        raise UsageError(f"{folder / MARKER}: it lists no files: export the run again with this version of Hardcut")
    there = digests(folder)
    wrong = [f"{name}: missing" for name in sorted(set(listed) - set(there))]
    wrong += [f"{name}: not listed in {MARKER}" for name in sorted(set(there) - set(listed))]
    wrong += [f"{name}: altered" for name in sorted(set(there) & set(listed)) if there[name] != listed[name]]
    return wrong
