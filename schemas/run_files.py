"""A run's files of records, the one way to read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hardcut.schemas.base import Record
from hardcut.schemas.jsonl import read_records

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of the run in `folder`, at whatever point it was stopped: a file that is not there holds no record."""

    folder: Path

    def path(self, kind: type[Record]) -> Path:
        """Where the records of one kind are."""
        return self.folder / kind.FILE

    def has(self, kind: type[Record]) -> bool:
        """Whether a stage has written the file of this kind."""
        return self.path(kind).exists()

    def read(self, kind: type[R]) -> Iterator[R]:
        """The records of one kind, sorted by id, one at a time. Raises RecordError naming file, line and field."""
        if self.has(kind):
            yield from read_records(self.path(kind), kind)

    def by_id(self, kind: type[R]) -> dict[str, R]:
        """All records of one kind, by their ids."""
        return {record.id: record for record in self.read(kind)}

    def grouped(
        self, kind: type[R], key: Callable[[R], str], wanted: Collection[str] | None = None
    ) -> defaultdict[str, list[R]]:
        """The records of one kind whose key is wanted (None: all), by that key."""
        found: defaultdict[str, list[R]] = defaultdict(list)
        for record in self.read(kind):
            if wanted is None or key(record) in wanted:
                found[key(record)].append(record)
        return found
