"""What the exporters share."""

from __future__ import annotations

from hardcut.publish.dataset import Dataset
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest

TEACHER = "teacher"
"""What the run of the teacher's margins is called; a first stage of this name gets another."""


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


def run_name(name: str) -> str:
    """A run's name as a part of a file's name: letters, digits, `-`, `_` and `.`; one that had to be changed ends in a
    piece of its digest, so that two never meet."""
    safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in name)
    return name if safe == name != TEACHER else f"{safe}-{digest(name)[:6]}"
