"""Which queries a dataset leaves out by choice: queries that are too easy, and queries beyond the share of their
kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hardcut.publish.splits import hashed_place
from hardcut.schemas.dataset_settings import ExportSettings, MixSettings

Row = Mapping[str, Any]
Reason = tuple[str, str]


def is_selective(settings: ExportSettings) -> bool:
    """Whether the settings leave anything out."""
    return settings.min_difficulty is not None or settings.mix != MixSettings()


def unwanted_queries(queries: Iterable[tuple[Row, Sequence[Row]]], settings: ExportSettings) -> dict[str, Reason]:
    """Reason and detail of every query that is left out, by id. `queries`: rows of `queries`, each with its `pairs`.

    A query goes with the one that it was rewritten from. Which of a kind stay hangs on their ids and the seed, so that
    a query that comes later moves no other.
    """
    found: dict[str, Reason] = {}
    parents: dict[str, str] = {}
    for query, rows in queries:
        reason = _reason(query, rows, settings)
        if reason is not None:
            found[query["query_id"]] = reason
        elif query["parent_query_id"] is not None:
            parents[query["query_id"]] = query["parent_query_id"]
    for query_id in parents:
        seen, at = {query_id}, parents[query_id]
        while at not in found and at in parents and at not in seen:
            seen.add(at)
            at = parents[at]
        if at in found:
            found[query_id] = found[at]
    return found


def _reason(query: Row, rows: Sequence[Row], settings: ExportSettings) -> Reason | None:
    least, score = settings.min_difficulty, query["difficulty"]["score"]
    if least is not None and any(row["label"] > 0 for row in rows) and (score is None or score < least):
        known = "not known" if score is None else f"{score:g}"
        return "too_easy", f"the query's difficulty is {known}, less than {least:g}"
    share: float = getattr(settings.mix, query["kind"])
    if hashed_place(f"mix:{query['query_id']}", settings.seed) >= share:
        return "mix", f"of the queries of kind {query['kind']} a share of {share:g} is kept"
    return None
