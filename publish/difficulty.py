"""How hard a query is, as measured and not as declared.

    positive_rank  the first stage's best place of a video that answers it
    margin_gap     the least margin of a positive minus the greatest of a negative
    unwatched      whether a judge that saw only metadata got it right (`publish/filters.py`)
    modalities     in how many ways one must look or listen: modalities of its facets
    spans          how many moments must be seen or heard: facets with a time

The score is the mean of what is known of four parts, each from 0 (easy) to 1 (hard):

    rank      1 - 1/positive_rank                      0 where the first stage puts it first
    gap       min(1, 2 sigmoid(-margin_gap))           twice the chance, by the teacher's own confidence (Bradley and
                                                       Terry, 1952), that the best negative belongs above the positive
    watching  0 where metadata alone solves it, else 1
    need      1 - 1/max(1, modalities + spans - 1)     0 where one moment in one modality will do

What is not known is None and counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hardcut.publish.filters import solved_without_watching

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What was measured of a query, and the score."""

    positive_rank: int | None
    margin_gap: float | None
    unwatched: bool | None
    modalities: int
    spans: int
    score: float | None


def difficulty(pairs: Sequence[Row], facets: Sequence[Row]) -> Difficulty:
    """The difficulty of a query out of its rows of `pairs` (`label`, `first_stage`, `logit_margin`, `text_only`)."""
    positives, negatives = ([row for row in pairs if (row["label"] > 0) is wanted] for wanted in (True, False))
    rank = min((found["rank"] for row in positives for found in row["first_stage"]), default=None)
    yes, no = (
        [row["logit_margin"] for row in rows if row["logit_margin"] is not None] for rows in (positives, negatives)
    )
    gap = round(min(yes) - max(no), 6) if yes and no else None
    unwatched = solved_without_watching(
        [row["text_only"] for row in positives], [row["text_only"] for row in negatives]
    )
    modalities = len({facet["modality"] for facet in facets})
    spans = sum(facet["span"] is not None for facet in facets)
    parts = (
        None if rank is None else 1 - 1 / rank,
        None if gap is None else min(1.0, 2 / (1 + math.exp(min(gap, 700.0)))),
        None if unwatched is None else float(not unwatched),
        1 - 1 / max(1, modalities + spans - 1) if facets else None,
    )
    known = [part for part in parts if part is not None]
    score = round(sum(known) / len(known), 6) if known else None
    return Difficulty(rank, gap, unwatched, modalities, spans, score)
