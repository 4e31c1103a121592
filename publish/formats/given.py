"""What formats of others are given: a dataset as far as the format can say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from hardcut.publish.columns import COLUMNS
from hardcut.publish.dataset import Dataset, Row
from hardcut.schemas.errors import UsageError

COMPOSED = "queries: composed, and the format has no place for the video that they start from"


@dataclass(frozen=True)
class Given(Dataset):
    """A dataset for an exporter. `left_out` counts, by what and why, what the format cannot say.

    With `videos`, the folder of the collection, each `video_path` is absolute; without it they are as in the dataset,
    relative to that folder. A composed query says "the same, but …" of a reference video: unless `composed`, it is
    left out with all of its rows.
    """

    videos: Path | None = None
    composed: bool = False
    left_out: Counter[str] = field(default_factory=Counter)

    @cached_property
    def references(self) -> dict[str, str]:
        """The video that each composed query, or a rewrite of one, starts from, by ids."""
        columns = ("query_id", "reference_video_id")
        rows = super().rows("queries", columns)
        return {row["query_id"]: row["reference_video_id"] for _, row in rows if row["reference_video_id"]}

    @cached_property
    def paths(self) -> dict[str, str]:
        """The path of each video, by id. Raises UsageError where `videos` lacks one."""
        found = {row["video_id"]: row["video_path"] for _, row in super().rows("corpus", ("video_id", "video_path"))}
        if self.videos is None:
            return found
        missing = [path for path in found.values() if not (self.videos / path).is_file()]
        if missing:
            raise UsageError(
                f"--videos {self.videos}: {len(missing):,} of {len(found):,} videos of the dataset are not there, such "
                f"as {missing[0]}: name the folder that the run read"
            )
        return {id: str((self.videos / path).resolve()) for id, path in found.items()}

    def splits(self, config: str) -> tuple[str, ...]:
        """As of any dataset, those that keep a row: a split of composed queries alone has none here."""
        found = super().splits(config)
        if not self._hides(config):
            return found
        kept = {split for split, _ in self.rows(config, ("query_id",))}
        return tuple(split for split in found if split in kept)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        """As of any dataset, of the queries that the format has a place for."""
        hides = self._hides(config)
        wanted = tuple(dict.fromkeys((*columns, "query_id"))) if columns and hides else columns
        for split, row in super().rows(config, wanted):
            if not hides or row["query_id"] not in self.references:
                yield split, self._located(row) if self.videos is not None else row

    def count(self, config: str, split: str | None = None) -> int:
        """As of any dataset, of the queries that the format has a place for."""
        if not self._hides(config):
            return super().count(config, split)
        return sum(split in (None, found) for found, _ in self.rows(config, ("query_id",)))

    def _hides(self, config: str) -> bool:
        return not self.composed and "query_id" in COLUMNS.get(config, {}) and bool(self.references)

    def _located(self, row: Row) -> Row:
        """A row with absolute paths, those of the candidates in a group too."""
        found = {
            name: self._located(value)
            if isinstance(value, dict) and "video_path" in value
            else [self._located(one) for one in value]
            if isinstance(value, list) and value and isinstance(value[0], dict) and "video_path" in value[0]
            else value
            for name, value in row.items()
        }
        if isinstance(path := found.get("video_path"), str):
            found["video_path"] = self._absolute[path]
        return found

    @cached_property
    def _absolute(self) -> dict[str, str]:
        paths = self.paths
        rows = super().rows("corpus", ("video_id", "video_path"))
        return {row["video_path"]: paths[row["video_id"]] for _, row in rows}
