"""What formats of others are given: a dataset whose every query can be asked in words alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from hardcut.publish.columns import COLUMNS
from hardcut.publish.dataset import Dataset, Row


@dataclass(frozen=True)
class TextQueries(Dataset):
    """A dataset without its composed queries. Such a query says "the same, but …" of a reference video, and no line of
    these formats has a place for that video."""

    @cached_property
    def composed(self) -> frozenset[str]:
        """The ids of the queries that start from a video, and of their rewrites."""
        columns = ("query_id", "reference_video_id")
        return frozenset(row["query_id"] for _, row in super().rows("queries", columns) if row["reference_video_id"])

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        """As of any dataset, of queries of words."""
        if not self._has_composed(config):
            yield from super().rows(config, columns)
            return
        for split, row in super().rows(config, columns and tuple(dict.fromkeys((*columns, "query_id")))):
            if row["query_id"] not in self.composed:
                yield split, row

    def count(self, config: str, split: str | None = None) -> int:
        """As of any dataset, of queries of words."""
        if not self._has_composed(config):
            return super().count(config, split)
        return sum(split in (None, found) for found, _ in self.rows(config, ("query_id",)))

    def _has_composed(self, config: str) -> bool:
        return "query_id" in COLUMNS.get(config, {}) and bool(self.composed)
