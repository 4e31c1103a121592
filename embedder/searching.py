"""Search: a TREC run out of vectors of queries and of what is searched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.engine.files import atomic_writer
from hardcut.engine.nearest import nearest
from hardcut.engine.vectors import VectorFolder
from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import format_run

if TYPE_CHECKING:
    from hardcut.engine.nearest import Best

TAG = "dense"
"""What the runs are called."""


@dataclass(frozen=True, slots=True)
class Searched:
    """How many queries were searched for, among how many vectors of which kind."""

    queries: int
    documents: int
    kind: str


def search(queries: VectorFolder, documents: VectorFolder, kind: str | None, depth: int, out: Path) -> Searched:
    """Writes the best `depth` documents of each query as a TREC run, by inner product. `kind` is what is searched;
    default: videos where there are some, else captions.

    Raises UsageError where vectors are missing or are of two models.
    """
    one, other = queries.note, documents.note
    differ = [name for name in ("model", "dimension") if one.get(name) != other.get(name)]
    if differ:
        raise UsageError(f"{queries.folder} and {documents.folder} differ in {', '.join(differ)}: embed by one model")
    kind = kind or ("videos" if "videos" in documents.kinds else "captions")
    for folder, needed in ((queries, "queries"), (documents, kind)):
        if needed not in folder.kinds:
            raise UsageError(f"{folder.folder}: no {needed} in it: embed them (--what), or name another folder")
    asked, ids = queries.ids("queries"), documents.ids(kind)
    best = nearest(queries.matrix("queries"), documents.blocks(kind), ids, depth)
    with atomic_writer(out) as file:
        file.writelines(_lines(asked, ids, best))
    return Searched(len(asked), len(ids), kind)


def _lines(asked: list[str], ids: list[str], best: Best) -> Iterator[str]:
    for at in sorted(range(len(asked)), key=asked.__getitem__):
        found = zip(best.numbers[at].tolist(), best.scores[at].tolist(), strict=True)
        yield from format_run(
            {asked[at]: {ids[number]: round(score, 6) for number, score in found if number >= 0}}, TAG
        )
