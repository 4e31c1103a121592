"""What the exporters share."""

from __future__ import annotations

from hardcut.publish.dataset import Dataset
from hardcut.schemas.errors import UsageError


def public_ids(dataset: Dataset) -> dict[str, str]:
    """The id under which others know a query: the user's own where there is one, else ours."""
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for _, row in dataset.rows("queries", ("query_id", "external_id")):
        name = row["external_id"] or row["query_id"]
        if name in taken:
            raise UsageError(f"the queries {taken[name]} and {row['query_id']} are both called {name}: rename one")
        taken[name] = row["query_id"]
        found[row["query_id"]] = name
    return found
