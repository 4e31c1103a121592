"""A dense first stage: the vectors that `hardcut embed` made of the collection and its queries."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.engine.vectors import VectorFolder
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.synth.candidates.first_stage import Hit, best_hits

if TYPE_CHECKING:
    from hardcut.engine.vectors import Matrix

DENSE_RUN = "dense"
_SCORES = 2**23
"""Scores that are held at once: 32 MiB. Queries come in the order of their ids, as vectors are stored: so those of
neighbours are computed together, which takes a tenth of the time."""


class Dense:
    """Exact search by cosine among the vectors of videos, or of captions where there are none of videos.

    The vectors of one side are held in memory: 4 bytes times dimension a video, and as much a query.
    """

    def __init__(self, folder: Path, videos: Collection[str]) -> None:
        """`videos` are those of the collection. Raises UsageError where a folder lacks vectors."""
        import numpy as np

        found, kind = VectorFolder(folder), kind_of(folder)
        ids = found.ids(kind)
        self.unknown = sorted(set(ids) - set(videos))
        """Videos that have a vector and are not in the collection."""
        keep = sorted((id, at) for at, id in enumerate(ids) if id in videos)
        self._ids = [id for id, _ in keep]
        self._vectors: Matrix = found.matrix(kind)[[at for _, at in keep]] if keep else np.zeros((0, 1), np.float32)
        asked = found.ids("queries")
        self._places = {id: at for at, id in enumerate(asked)}
        self._queries = found.matrix("queries")
        self._from, self._scores = -1, np.zeros((0, 0), dtype=np.float32)

    @property
    def queries(self) -> Collection[str]:
        """The ids of the queries that have a vector."""
        return self._places.keys()

    def search(self, query_id: str, depth: int, also: Iterable[str] = ()) -> list[Hit]:
        """The best `depth` videos, and those of `also` at their own ranks; ties as in `schemas/trec.py`."""
        if not self._ids:
            return []
        return best_hits(self._ids, self._row(self._places[query_id]), depth, also)

    def _row(self, place: int) -> Matrix:
        import numpy as np

        size = max(1, _SCORES // len(self._ids))
        if self._from < 0 or not self._from <= place < self._from + len(self._scores):
            self._from = place - place % size
            scores = self._queries[self._from : self._from + size] @ self._vectors.T
            self._scores = np.round(scores, 6)
        row: Matrix = self._scores[place - self._from]
        return row


def kind_of(folder: Path) -> str:
    """What of a folder of vectors is searched. Raises UsageError where it lacks what a first stage needs."""
    found = VectorFolder(folder)
    found.note  # noqa: B018 - refuses a folder that is not finished
    kind = next((kind for kind in ("videos", "captions") if kind in found.kinds), None)
    if kind is None or "queries" not in found.kinds:
        raise UsageError(f"{folder}: a first stage needs vectors of queries and of videos or captions: embed them")
    return kind


def vectors_digest(folder: Path) -> str:
    """A digest of the vectors that a first stage takes from a folder."""
    return digest([VectorFolder(folder).digest(kind) for kind in ("queries", kind_of(folder))])
