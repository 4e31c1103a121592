"""Opens a dataset's folder for reading, for the gate, the exporters and the upload."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hardcut.engine.files import sha256_of
from hardcut.publish._folder import MARKER
from hardcut.publish.columns import ADDED, COLUMNS
from hardcut.publish.damage import damage
from hardcut.publish.splits import SPLITS
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import parse_json

FILES = "files"
"""The key of the marker for the digests of all other files."""
GUARDED = "guards"
"""The key of the marker for what the run's guards looked at, and what they could not look at."""
LEFT_OUT = "left_out.jsonl"
"""The file of judged pairs that are in no split, of videos and queries that left theirs, and of videos without a clip,
each with its reason."""
CONTRADICTION = "same_file_disagrees"
"""The reason of pairs that are left out because one file, under two ids, is judged both ways."""
COPIES_DISAGREE = "copies_disagree"
"""The same of copies of one recording. Their sound or what is written beside them may differ, so both may be right."""
MOVED = "moved_split"
"""The reason of videos and queries, with their pairs, that cannot stay in the split of an earlier version: they are
left out of training and evaluation alike."""
Row = dict[str, Any]
_AGAIN = "it was altered after the export: export the run again"


class DamagedDataset(UsageError):
    """A file of a dataset is missing or not as it was written. The message names the file and, in a table, the
    column."""


@dataclass(frozen=True)
class Dataset:
    """A dataset that Hardcut wrote. Rows are read from Parquet while you iterate, and nothing stays in memory."""

    folder: Path

    @cached_property
    def marker(self) -> Mapping[str, Any]:
        """The content of `hardcut.json`. Raises UsageError where the folder is no dataset of ours."""
        path = self.folder / MARKER
        try:
            found = parse_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(f"{self.folder}: no {MARKER} in it: name a folder that `hardcut export` wrote") from error
        except (OSError, ValueError) as error:
            raise DamagedDataset(f"{path}: cannot be read ({error})") from error
        if not isinstance(found, dict):
            raise DamagedDataset(f"{path}: not an object")
        for name in ("settings", "gate", "rows", GUARDED, "withheld"):
            inner = found.get(name, {})
            objects = [inner, *(inner.values() if isinstance(inner, dict) and name != "gate" else ())]
            if not all(isinstance(one, dict) for one in objects):
                raise DamagedDataset(f"{path}: {name!r} is not what it should be: {_AGAIN}")
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
        """(split, row) of a config in the order of the files. Only `columns` are read. One that datasets of earlier
        versions lack is None there.

        Raises DamagedDataset naming file and column where a table cannot be read, has data that was never written, or
        lacks a file, a column or rows that the marker lists.
        """
        if "rows" not in self.marker:
            raise DamagedDataset(f"{self.folder / MARKER}: it lists no rows: {_AGAIN}")
        for split in SPLITS:
            count, shards = 0, self._shards(config, split)
            for path in shards:
                for row in _table(path, config, columns):
                    count += 1
                    yield split, row
            listed = self.marker["rows"].get(config, {}).get(split, count)
            if listed != count:
                path = self.folder / "data" / config
                raise DamagedDataset(f"{path}: {count:,} rows of {split}, {MARKER} lists {listed!r}: {_AGAIN}")

    def refuse_incomplete(self) -> None:
        """Raises DamagedDataset where a table lacks one of its columns, even one that nobody reads."""
        import pyarrow.parquet as pq

        for config in self.configs:
            for path in (path for split in SPLITS for path in self._shards(config, split)):
                with _readable(path):
                    _need_columns(path, _columns(config), pq.read_schema(path).names)

    def refuse_altered(self, configs: Collection[str] = (), files: Collection[str] = ()) -> None:
        """Raises DamagedDataset where a file is missing, altered or not listed: of these configs and files, or else of
        all. For callers that do not ask the gate."""
        parts = (*(f"data/{config}/" for config in configs), *files)
        wrong = verify(self.folder, parts)
        if wrong:
            more = f" and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
            raise DamagedDataset(f"{self.folder}/{wrong[0]}{more}: {_AGAIN}")

    def count(self, config: str, split: str | None = None) -> int:
        """The number of rows of a config, or of one split of it. Raises DamagedDataset where a table cannot be read."""
        import pyarrow.parquet as pq

        splits = self.splits(config) if split is None else (split,)
        found = 0
        for path in (path for one in splits for path in self._shards(config, one)):
            with _readable(path):
                found += pq.read_metadata(path).num_rows
        return found

    def _shards(self, config: str, split: str) -> list[Path]:
        return sorted((self.folder / "data" / config).glob(f"{split}-*.parquet"))


def _table(path: Path, config: str, columns: Sequence[str] | None) -> Iterator[Row]:
    """The rows of one file."""
    import pyarrow.parquet as pq

    with _readable(path), pq.ParquetFile(path) as file:
        there = file.schema_arrow.names
        unknown = dict.fromkeys(name for name in columns or () if name not in there and name in ADDED.get(config, ()))
        columns = columns and [name for name in columns if name not in unknown]
        _need_columns(path, columns or _columns(config), there)
        for batch in file.iter_batches(batch_size=2_000, columns=columns):
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                wrong = damage(config, name, values)
                if wrong is not None:
                    raise DamagedDataset(f"{path}: the column {name!r} {wrong}: {_AGAIN}")
            yield from (row | unknown for row in batch.to_pylist()) if unknown else batch.to_pylist()


def _columns(config: str) -> set[str]:
    """The columns that a config has in every dataset, also in one of an earlier version."""
    return set(COLUMNS.get(config, ())) - ADDED.get(config, frozenset())


def _need_columns(path: Path, wanted: Collection[str], there: Collection[str]) -> None:
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise DamagedDataset(f"{path}: no column {missing[0]!r}: export the run again")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns errors in reading a table into ours."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DamagedDataset(f"{path}: not readable as Parquet ({reason}): {_AGAIN}") from error


def digests(folder: Path, parts: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Size and sha256 of every file of a dataset by path, without the marker and hidden files. With `parts`, only of
    paths that begin with one of them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        ours = name.as_posix() != MARKER and not any(part.startswith(".") for part in name.parts)
        if ours and path.is_file() and (not parts or name.as_posix().startswith(parts)):
            found[name.as_posix()] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
    return found


def verify(folder: Path, parts: tuple[str, ...] = ()) -> list[str]:
    """One line for each file that is missing, altered or not listed in the dataset's marker. `parts` as in `digests`.

    Raises UsageError where the folder is no dataset of ours or names files outside of itself.
    """
    marker = Dataset(folder).marker
    listed = marker.get(FILES)
    if not isinstance(listed, dict):
        raise DamagedDataset(f"{folder / MARKER}: it lists no files: export the run again with this version of Hardcut")
    listed = {name: file for name, file in listed.items() if not parts or name.startswith(parts)}
    there = digests(folder, parts)
    wrong = [f"{name}: missing" for name in sorted(set(listed) - set(there))]
    wrong += [f"{name}: not listed in {MARKER}" for name in sorted(set(there) - set(listed))]
    wrong += [f"{name}: altered" for name in sorted(set(there) & set(listed)) if there[name] != listed[name]]
    return wrong
