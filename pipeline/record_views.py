"""The records of a run in Python. They are read from their file while you iterate."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hardcut.engine.run_files import RunFiles
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import canonical_json

if TYPE_CHECKING:
    import pandas
    import pyarrow

R = TypeVar("R", bound=Record)


class Records(Generic[R]):
    """All records of one kind, sorted by id. Each iteration reads the file again, and nothing stays in memory.

    Examples:
        >>> for pair in run.pairs():  # doctest: +SKIP
        ...     print(pair.query_id, pair.video_id, pair.expected)
    """

    def __init__(self, files: RunFiles, kind: type[R]) -> None:
        self._files = files
        self._kind = kind

    def __iter__(self) -> Iterator[R]:
        return self._files.read(self._kind)

    def __len__(self) -> int:
        """The number of records. Counts lines and reads no record."""
        return self._files.count(self._kind)

    def __getitem__(self, id: str) -> R:
        """The record of that id. Raises UsageError where there is none."""
        for record in self:
            if record.id == id:
                return record
        raise UsageError(f"{self._files.path(self._kind)}: there is no {self._kind.__name__} {id!r}")

    def head(self, number: int = 5) -> list[R]:
        """The first `number` records."""
        return list(islice(self, number))

    def to_arrow(self) -> pyarrow.Table:
        """A table with a column for each field. A field without a fixed form (a video's `metadata`) is JSON text."""
        import pyarrow

        rows = [self._row(record) for record in self]
        return pyarrow.Table.from_pylist(rows) if rows else pyarrow.table({name: [] for name in self._columns()})

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame with a row for each record, and the columns of `to_arrow`."""
        import pandas

        return pandas.DataFrame([self._row(record) for record in self], columns=self._columns())

    def __repr__(self) -> str:
        return f"<{len(self):,} {self._kind.__name__} in {self._files.path(self._kind)}>"

    def _columns(self) -> list[str]:
        return [name for name in self._kind.model_fields if name != "schema_version"]

    def _row(self, record: R) -> dict[str, Any]:
        row = record.model_dump(mode="json", exclude={"schema_version"})
        return {name: canonical_json(value) if name == "metadata" else value for name, value in row.items()}
