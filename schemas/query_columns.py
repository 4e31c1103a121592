"""Names that files of queries have for their columns: ours, and those of BEIR, MTEB, TREC, MultiVENT and RANKVIDEO."""

from __future__ import annotations

import re
from collections.abc import Iterable

ID_COLUMNS = ("query_id", "qid", "_id", "id")
TEXT_COLUMNS = ("query", "text", "query_text")


def column(name: str) -> str:
    """A column's name as these are written.

    >>> column("#Query-ID")
    'query_id'
    """
    return re.sub(r"[\s-]+", "_", name.strip().lstrip("#").strip().lower())


def find_column(wanted: Iterable[str], names: Iterable[str]) -> str | None:
    """The first of the wanted columns that a file has, by the name that it has there; None where it has none."""
    known = {column(name): name for name in reversed(list(names))}
    return next((known[name] for name in wanted if name in known), None)
