"""Vectors on disk: Parquet shards of a kind each, written as they come, read in blocks.

A folder holds `vectors.json` (what made them) and `KIND-00000.parquet`, ... with the columns `id`, `content` (a digest
of what was encoded) and `vector`: its numbers as the bytes of little-endian float32, one length for all. A Parquet list
of numbers would take four times as long to read, as much as a seventh of a search.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardcut.engine.files import atomic_writer, sha256_of
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

NOTE = "vectors.json"
ROWS = 4096
"""Vectors that a reader is given at once."""
_SHARD = "{kind}-{number:05d}.parquet"


@dataclass(frozen=True, slots=True)
class VectorFolder:
    """The vectors in `folder`, of one model."""

    folder: Path

    @property
    def note(self) -> Mapping[str, Any]:
        """What made the vectors. Raises UsageError where the folder holds none, or they are not all there."""
        note = read_note(self.folder)
        if note is None:
            raise UsageError(f"{self.folder}: no vectors in it: `hardcut embed` writes them")
        if not note.get("complete"):
            raise UsageError(f"{self.folder}: `hardcut embed` was interrupted there: start it again to go on")
        return note

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that have vectors."""
        return tuple(sorted({path.name.rpartition("-")[0] for path in self.folder.glob("*-?????.parquet")}))

    def count(self, kind: str) -> int:
        """How many vectors there are of a kind."""
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(path).num_rows for path in shards(self.folder, kind))

    def digest(self, kind: str) -> str:
        """A digest of all vectors of a kind, by the bytes of their files."""
        return digest("vectors", kind, [sha256_of(path) for path in shards(self.folder, kind)])

    def ids(self, kind: str) -> list[str]:
        """The ids of a kind in the order of the files."""
        return [id for path in shards(self.folder, kind) for id in _table(path, ["id"])["id"].to_pylist()]

    def blocks(self, kind: str, rows: int = ROWS) -> Iterator[Matrix]:
        """The vectors in the order of the files, at most `rows` at a time, [n, dimension].

        Raises UsageError naming a file that cannot be read or has vectors of another length.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        width = None
        for path in shards(self.folder, kind):
            try:
                with pq.ParquetFile(path, pre_buffer=False) as file:  # it would read the whole file ahead
                    for batch in file.iter_batches(batch_size=rows, columns=["vector"], use_threads=False):
                        block = _matrix(batch.column(0))
                        if width not in (None, block.shape[1]):
                            raise UsageError(f"{path}: vectors of {block.shape[1]} numbers, before of {width}")
                        width = block.shape[1]
                        yield block
            except (OSError, pa.ArrowException) as error:
                raise UsageError(f"{path}: cannot be read ({error}): remove it and embed again") from error

    def matrix(self, kind: str) -> Matrix:
        """All vectors of a kind, [n, dimension]."""
        import numpy as np

        found = list(self.blocks(kind))
        return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)


def shards(folder: Path, kind: str) -> list[Path]:
    """The files of a kind, in their order."""
    return sorted(folder.glob(f"{kind}-?????.parquet"))


def read_note(folder: Path) -> dict[str, Any] | None:
    """The note of a folder; None where there is none. Raises UsageError where it cannot be read."""
    path = folder / NOTE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}): embed into another folder") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path}: not an object: embed into another folder")
    return found


def write_note(folder: Path, note: Mapping[str, Any]) -> None:
    """Writes what made the vectors of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_writer(folder / NOTE) as file:
        json.dump(note, file, indent=2, sort_keys=True)


class VectorWriter:
    """Adds vectors of one kind to a folder, a shard at a time, each whole or not at all.

    `wanted` are the contents that belong there, by id. What is stored of them already is in `known`; vectors of
    anything else are taken out first.
    """

    def __init__(self, folder: Path, kind: str, wanted: Mapping[str, str]) -> None:
        self._folder, self._kind = folder, kind
        folder.mkdir(parents=True, exist_ok=True)
        self.known: set[str] = set()
        for path in shards(folder, kind):
            self._keep(path, wanted)
        last = shards(folder, kind)[-1:]
        self._next = int(last[0].stem.rpartition("-")[2]) + 1 if last else 0

    def add(self, ids: Sequence[str], contents: Sequence[str], vectors: Matrix) -> None:
        """Writes a shard of vectors, [n, dimension]. Raises StorageError."""
        import numpy as np
        import pyarrow as pa

        rows = np.ascontiguousarray(vectors, dtype="<f4")
        kind = pa.binary(4 * rows.shape[1])
        column = pa.FixedSizeBinaryArray.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)])
        table = pa.table({"id": list(ids), "content": list(contents), "vector": column})
        self._write(self._folder / _SHARD.format(kind=self._kind, number=self._next), table)
        self._next += 1
        self.known.update(ids)

    def _keep(self, path: Path, wanted: Mapping[str, str]) -> None:
        """Takes what is not wanted, or there twice, out of a shard."""
        told = _table(path, ["id", "content"])
        rows = list(zip(told["id"].to_pylist(), told["content"].to_pylist(), strict=True))
        good = []
        for at, (id, content) in enumerate(rows):
            if wanted.get(id) == content and id not in self.known:
                good.append(at)
                self.known.add(id)
        if not good:
            path.unlink()
        elif len(good) < len(rows):
            self._write(path, _table(path, None).take(good))

    def _write(self, path: Path, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        with atomic_writer(path, "wb") as file:
            # Numbers of an embedding do not repeat: a dictionary or compression would cost time and save nothing.
            pq.write_table(
                table, file, row_group_size=ROWS, compression="none", use_dictionary=["id"], write_statistics=["id"]
            )


def unit(vectors: Any) -> Matrix:
    """Vectors as float32 of length 1. Raises ValueError where one has no length or is not finite."""
    import numpy as np

    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ValueError("a vector is zero or not finite")
    return np.ascontiguousarray(rows / lengths)


def _table(path: Path, columns: list[str] | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: cannot be read ({error}): remove it and embed again") from error


def _matrix(column: pa.FixedSizeBinaryArray) -> Matrix:
    """The numbers of a column, [rows, dimension]; read only."""
    import numpy as np

    width = column.type.byte_width
    found = np.frombuffer(column.buffers()[1], np.dtype("<f4"), len(column) * width // 4, column.offset * width)
    return found.reshape(len(column), width // 4)
