"""What an exported dataset knows of its queries, for slices and audits, and its diagnostic set.

`Tables` is what is needed of a dataset: `publish.dataset.Dataset` is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hardcut.schemas.errors import UsageError
from hardcut.schemas.trec import Run

Row = dict[str, Any]


class DatasetTables(Protocol):
    """The configs of a dataset."""

    @property
    def configs(self) -> tuple[str, ...]:
        """Those that have rows."""
        ...

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        """(split, row) of a config; `columns` are all that is read of it."""
        ...


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """A query's text, the value that it has in each facet, its split, and the video that it starts from, if any."""

    text: str
    facets: Mapping[str, str]
    split: str = ""
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class NuanceBlock:
    """Ids of two queries of one form, of which the video answers the first and not the second; of the `mirror` the
    opposite holds. `change` is what tells them apart, `texts` what they say, `split` where the video is."""

    change: str
    video_id: str
    answered: str
    unanswered: str
    mirror: str | None = None
    texts: tuple[str, str] = ("", "")
    split: str = ""


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """Queries by every id that they go by, their ids in the dataset by the users' own, and the blocks."""

    queries: Mapping[str, QueryFacts] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blocks: Sequence[NuanceBlock] = ()

    def score(self, run: Run, query_id: str, video_id: str) -> float | None:
        """What a run gave a pair, under whichever of the query's ids it knows it by."""
        for name in (query_id, *self.names.get(query_id, ())):
            found = run.get(name, {}).get(video_id)
            if found is not None:
                return found
        return None


UNKNOWN = DatasetFacts()
"""Where there is no dataset."""


def read_facts(tables: DatasetTables, fields: Sequence[str] = ()) -> DatasetFacts:
    """The facts of a dataset. `fields` are further columns of the config `queries` to slice by; `difficulty.spans` is
    one inside a column.

    Raises UsageError where a table cannot be read, or has no such column.
    """
    queries: dict[str, QueryFacts] = {}
    names: dict[str, tuple[str, ...]] = {}
    columns = ("query_id", "external_id", "query", "language", "view", "kind", "difficulty", "reference_video_id")
    further = [field.partition(".")[0] for field in fields]
    for split, row in tables.rows("queries", tuple(dict.fromkeys((*columns, *further)))):
        facets = _facets(row) | {field: _value(row, field) for field in fields}
        found = QueryFacts(row["query"], facets, split, row.get("reference_video_id"))
        queries[row["query_id"]] = found
        if row["external_id"] is not None:
            queries.setdefault(row["external_id"], found)
            names[row["query_id"]] = (row["external_id"],)
    blocks = []
    if "diagnostic" in tables.configs:
        for split, row in tables.rows("diagnostic", ("change", "video_id", "answered", "unanswered", "mirror")):
            one, other, mirror = row["answered"], row["unanswered"], row["mirror"]
            texts = one["query"], other["query"]
            ids = row["change"], row["video_id"], one["query_id"], other["query_id"]
            blocks.append(NuanceBlock(*ids, mirror and mirror["video_id"], texts, split))
    return DatasetFacts(queries, names, blocks)


def _facets(row: Row) -> dict[str, str]:
    hard = row["difficulty"]
    rank, modalities = hard["positive_rank"], hard["modalities"]
    return {
        "kind": row["kind"],
        "language": row["language"],
        "view": row["view"],
        "first stage's rank of the positive": "not known" if rank is None else _rank(rank),
        "modalities to look at": "not known" if not modalities else "3 or more" if modalities > 2 else str(modalities),
    }


def _value(row: Row, field: str) -> str:
    """What a query has in a field, as text: of a list how many it has."""
    found: Any = row
    for name in field.split("."):
        if not isinstance(found, dict) or name not in found:
            names = ", ".join(sorted(found)) if isinstance(found, dict) else "nothing"
            raise UsageError(f"--slice {field}: the queries have no {name!r} there, but {names}")
        found = found[name]
    if found is None:
        return "none"
    if isinstance(found, list | tuple):
        return f"{len(found)} of them"
    return str(found)


def _rank(rank: int) -> str:
    steps = ((1, "1"), (3, "2-3"), (10, "4-10"), (100, "11-100"))
    return next((name for last, name in steps if rank <= last), "above 100")
