"""Queries that mean the same, in whatever words and languages: by vectors that are given (`hardcut embed`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from hardcut.engine.vectors import VectorFolder, unit
from hardcut.publish.given_splits import QueryRef
from hardcut.publish.same_wording import numbers
from hardcut.schemas.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 1_024
"""Queries that are compared with all others at once."""


@dataclass(frozen=True, slots=True)
class Meanings:
    """The vectors of some queries, and from which cosine on two of them mean the same.

    Texts with other numbers are two queries, and so are composed ones that start from two videos: each of `alike` are
    the places of queries that may mean the same. `lacking` are the ids of queries without a vector.
    """

    ids: Sequence[str]
    vectors: NDArray[np.float32]
    alike: Sequence[NDArray[np.intp]]
    least: float
    model: str
    lacking: Sequence[str] = field(default=())

    def links(self) -> Iterator[tuple[str, str]]:
        """Pairs of ids that join every cluster of queries that mean the same, directly or through others."""
        import numpy as np

        for places in self.alike:
            cluster = np.arange(len(places))
            for _, near in self._near(places):
                for row in np.flatnonzero(near.sum(axis=1) > 1):
                    met = np.unique(cluster[near[row]])
                    if len(met) > 1:
                        cluster[np.isin(cluster, met)] = met[0]
            for at, first in enumerate(cluster.tolist()):
                if first != at:
                    yield self.ids[places[first]], self.ids[places[at]]

    def pairs(self, kinds: Sequence[str]) -> Iterator[tuple[str, str, float]]:
        """Ids of two kinds (splits, as a rule) that mean the same, with their cosine; `kinds` in the order of `ids`."""
        import numpy as np

        of = np.array(kinds)
        for places in self.alike:
            for start, near in self._near(places):
                other = of[places[start : start + len(near)], None] != of[places][None, :]
                for row, column in np.argwhere(near & other).tolist():
                    if start + row < column:
                        here, there = places[start + row], places[column]
                        yield self.ids[here], self.ids[there], float(self.vectors[here] @ self.vectors[there])

    def _near(self, places: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Which of the places are near which, some rows at a time, with the first row's number."""
        vectors = self.vectors[places]
        for start in range(0, len(places), _BLOCK):
            yield start, vectors[start : start + _BLOCK] @ vectors.T >= self.least


def read_meanings(folder: Path, queries: Mapping[str, QueryRef], least: float) -> Meanings:
    """The vectors of `queries` in a folder of `hardcut embed`, where they go by the user's id or else by ours.

    Raises UsageError where the folder holds no vectors of queries.
    """
    import numpy as np

    vectors = VectorFolder(folder)
    note = vectors.note
    rows = {id: at for at, id in enumerate(vectors.ids("queries"))}
    if not rows:
        raise UsageError(f"{folder}: no vectors of queries: `hardcut embed … --what queries` makes them")
    names = {id: ref.external_id or id for id, ref in queries.items()}
    ids = [id for id in sorted(queries) if names[id] in rows]
    alike: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for at, id in enumerate(ids):
        alike[numbers(queries[id].text), queries[id].reference_video_id].append(at)
    wanted = vectors.matrix("queries")[[rows[names[id]] for id in ids]]
    try:
        found = unit(wanted)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}: remove the folder and embed again") from error
    lacking = [id for id in sorted(queries) if names[id] not in rows]
    groups = [np.array(places) for places in alike.values() if len(places) > 1]
    return Meanings(ids, found, groups, least, _public(str(note.get("name", "a model that is not named"))), lacking)


def _public(name: str) -> str:
    """A model's name without the place that it lies at on this machine, or answers at."""
    name = name.split("@")[0]
    return PurePath(name).name if name.count("/") > 1 or name.startswith((".", "/", "~")) else name
