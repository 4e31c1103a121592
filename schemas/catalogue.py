"""Every record, and its JSON Schema."""

from __future__ import annotations

from typing import Any

from hardcut.schemas.base import Record
from hardcut.schemas.comparisons import Comparison
from hardcut.schemas.copies import Group, Signature
from hardcut.schemas.guards import Unchecked
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Caption, Dropped, Evidence, Pair, Query, TeacherLabel, Video
from hardcut.schemas.triplets import Triplet
from hardcut.schemas.twin import Twin

RECORDS: tuple[type[Record], ...] = (
    Video,
    Signature,
    Evidence,
    Caption,
    Twin,
    Query,
    Triplet,
    Group,
    Pair,
    TeacherLabel,
    Review,
    Comparison,
    Judgment,
    Dropped,
    Unchecked,
)
"""Every record, in the order in which a run produces them."""


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each record, by class name, as `hardcut schema` prints it."""
    return {record.__name__: record.model_json_schema(mode="serialization") for record in RECORDS}
