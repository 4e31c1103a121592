"""Rows of the config `triplets`."""

from __future__ import annotations

from typing import Any

from hardcut.publish.columns import teacher_name
from hardcut.schemas.triplets import TextSource, Triplet

Row = dict[str, Any]


def triplet_row(triplet: Triplet) -> Row:
    """A row of `triplets`."""
    return {
        "id": triplet.triplet_id,
        "set_id": triplet.set_id,
        "nuance": triplet.nuance,
        "anchor": triplet.anchor,
        "positive": triplet.positive,
        "hard_negative": triplet.hard_negative,
        "anchor_source": _source(triplet.anchor_source),
        "positive_source": _source(triplet.positive_source),
        "hard_negative_source": _source(triplet.hard_negative_source),
        "video_id": triplet.video_id,
    }


def _source(source: TextSource) -> Row:
    return {"kind": source.kind, "id": source.id, "teacher": teacher_name(source.teacher)}
