"""Parquet shards of one config, written as rows come, the same bytes for the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hardcut.publish.columns import Row, features

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Features

ROWS_PER_SHARD = 100_000
BYTES_PER_SHARD = 500_000_000
ROWS_PER_GROUP = 2_000
"""Rows that are held in memory for each split, and that a reader has to read at once."""
_KINDS = b"huggingface"
"""The key of the schema's metadata that `datasets` reads."""


@dataclass(slots=True)
class SplitSize:
    """What one split of one config holds."""

    rows: int = 0
    shards: int = 0
    bytes_in_memory: int = 0
    bytes_on_disk: int = 0


@dataclass(slots=True)
class _Open:
    """A split that is being written."""

    size: SplitSize = field(default_factory=SplitSize)
    rows: list[Row] = field(default_factory=list)
    writer: pq.ParquetWriter | None = None
    rows_in_shard: int = 0
    bytes_in_shard: int = 0


def arrow_schema(features: Features) -> pa.Schema:
    """The columns as Arrow has them, with the kinds that only `datasets` knows (a video, a picture) beside them.

    From its version 4 on `datasets` writes lists there as `List`, and version 3 fails on that name. Both read the older
    form, a list of one kind.
    """
    schema = features.arrow_schema
    told = json.loads(schema.metadata[_KINDS])
    told["info"]["features"] = _older(told["info"]["features"])
    return schema.with_metadata({_KINDS: json.dumps(told).encode("utf-8")})


def _older(kind: Any) -> Any:
    if isinstance(kind, list):
        return [_older(one) for one in kind]
    if not isinstance(kind, dict):
        return kind
    if kind.get("_type") == "List":
        return [_older(kind["feature"])]
    return {name: _older(inner) for name, inner in kind.items()}


class ConfigWriter:
    """Writes `folder/CONFIG/SPLIT-00000-of-0000N.parquet` for every split that has rows. One without rows is not in the
    config: `datasets` loads no split of a config that has an empty one."""

    def __init__(self, folder: Path, config: str, splits: Iterable[str], rows_per_group: int | None = None) -> None:
        self.config = config
        self._rows_per_group = rows_per_group or ROWS_PER_GROUP
        self._folder = folder / config
        self._schema = arrow_schema(features(config))
        self._open = {split: _Open() for split in splits}

    def __enter__(self) -> ConfigWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        for state in self._open.values():
            if state.writer is not None:
                state.writer.close()

    def close(self) -> None:
        """Writes what is left; only then are the files and `sizes` complete."""
        for split, state in self._open.items():
            self._finish(split, state)

    def add(self, split: str, row: Row) -> None:
        """Adds a row to a split."""
        state = self._open[split]
        state.rows.append(row)
        if len(state.rows) >= self._rows_per_group or state.rows_in_shard + len(state.rows) >= ROWS_PER_SHARD:
            self._flush(split, state)

    @property
    def sizes(self) -> dict[str, SplitSize]:
        """What each split with rows holds; complete once the writer is closed."""
        return {split: state.size for split, state in self._open.items() if state.size.rows}

    def _flush(self, split: str, state: _Open) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if state.writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            # The number of shards is in every name and known only at the end, when `_finish` renames them.
            path = self._folder / f"{split}-{state.size.shards:05d}"
            state.writer = pq.ParquetWriter(path, self._schema, compression="zstd", write_page_index=True)
            state.size.shards += 1
        table = pa.Table.from_pylist(state.rows, schema=self._schema)
        state.writer.write_table(table, row_group_size=self._rows_per_group)
        state.size.rows += len(state.rows)
        state.size.bytes_in_memory += table.nbytes
        state.rows_in_shard += len(state.rows)
        state.bytes_in_shard += table.nbytes
        state.rows.clear()
        if state.rows_in_shard >= ROWS_PER_SHARD or state.bytes_in_shard >= BYTES_PER_SHARD:
            state.writer.close()
            state.writer, state.rows_in_shard, state.bytes_in_shard = None, 0, 0

    def _finish(self, split: str, state: _Open) -> None:
        if state.rows:
            self._flush(split, state)
        if state.writer is not None:
            state.writer.close()
        for number in range(state.size.shards):
            written = self._folder / f"{split}-{number:05d}"
            path = written.rename(self._folder / f"{written.name}-of-{state.size.shards:05d}.parquet")
            state.size.bytes_on_disk += path.stat().st_size


def info(config: str, sizes: dict[str, SplitSize]) -> Any:
    """datasets' own description of a config, for the card's front matter."""
    from datasets import DatasetInfo, SplitDict, SplitInfo

    splits = SplitDict()
    for split, size in sizes.items():
        splits.add(SplitInfo(split, num_bytes=size.bytes_in_memory, num_examples=size.rows))
    return DatasetInfo(
        config_name=config,
        features=features(config),
        splits=splits,
        download_size=sum(size.bytes_on_disk for size in sizes.values()),
        dataset_size=sum(size.bytes_in_memory for size in sizes.values()),
    )
