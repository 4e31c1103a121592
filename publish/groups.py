"""Training groups: one positive and K negatives of one query, at least one of them trusted (RANKVIDEO, stage 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.ids import content_id

Row = Mapping[str, Any]


def training_groups(pairs: Sequence[Row], settings: ExportSettings) -> Iterator[tuple[str, Row, list[Row]]]:
    """(group id, positive, negatives) of one query's rows of `pairs`; none without a positive or a trusted negative.

    A positive's groups share no negative: each takes `trusted_per_group` trusted ones and fills up with the rest. In
    both come first those that were made to be negatives: twins, and the video that a counterfactual was written not to
    be answered by, which has all else that is asked for. Then the hardest: the highest margin, then the best place in
    the first stage. Positives take turns in where they start, so that the negatives of a query with several positives
    are all used; what was made to be one is each positive's first.
    """
    positives = sorted((row for row in pairs if row["label"] > 0), key=lambda row: row["pair_id"])
    negatives = sorted((row for row in pairs if row["label"] == 0), key=_hardness)
    trusted = [row for row in negatives if row["negative"] == "trusted"]
    for turn, positive in enumerate(positives):
        waiting = [
            row
            for some in ([row for row in trusted if _is_made(row)], [row for row in trusted if not _is_made(row)])
            for row in _from(some, turn)
        ]
        others = [row for row in negatives if row["negative"] != "trusted"]
        for _ in range(settings.groups_per_positive):
            chosen = waiting[: settings.trusted_per_group]
            waiting = waiting[settings.trusted_per_group :]
            missing = settings.negatives_per_group - len(chosen)
            filled, others = others[:missing], others[missing:]
            if len(filled) < missing:
                more = missing - len(filled)
                filled, waiting = filled + waiting[:more], waiting[more:]
            found = sorted(chosen + filled, key=lambda row: not _is_made(row))  # a training may take the first alone
            if len(chosen) < settings.trusted_per_group or len(found) < settings.negatives_per_group:
                break
            ids = [positive["pair_id"], *(row["pair_id"] for row in found)]
            yield content_id("t", ids), positive, found


def _from(rows: Sequence[Row], turn: int) -> list[Row]:
    """The rows with another one first at each turn."""
    at = turn % max(1, len(rows))
    return [*rows[at:], *rows[:at]]


def _is_made(row: Row) -> bool:
    return "counterfactual" in row["origins"]


def _hardness(row: Row) -> tuple[bool, float, float, str]:
    margin = row["logit_margin"]
    rank = min((found["rank"] for found in row["first_stage"]), default=float("inf"))
    return not _is_made(row), (float("inf") if margin is None else -margin), rank, row["pair_id"]
