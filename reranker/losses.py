"""The losses of stage 2, each a pure function of scores (RANKVIDEO, arXiv 2602.02444, section on training).

`scores` is [groups, 1 + K], the log-odds of yes; the first column is the positive, the others its negatives. `present`
is of the same shape and false where a group has fewer negatives than the widest, and in all of a row whose positive
could not be read: it counts for nothing.

Each term is a sum over what is here, divided by a count. The count may be that of a whole step (`Counts`), of which
this is a part: so a step is the same however it is split over micro-batches and processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hardcut.schemas.training import LossSettings


@dataclass(frozen=True, slots=True)
class Batch:
    """What the scores of some groups are held against. `soft` is the teacher's probability, NaN where there is none."""

    present: Tensor
    soft: Tensor

    @property
    def known(self) -> Tensor:
        """Which pairs have the teacher's probability."""
        return self.present & ~self.soft.isnan()


@dataclass(frozen=True, slots=True)
class Counts:
    """What each term is a mean over: groups (`pairwise`), pairs with the teacher's probability (`teacher`), and pairs
    (`pointwise`)."""

    pairwise: float
    teacher: float
    pointwise: float


def count(batches: Sequence[Batch]) -> Counts:
    """The counts of several batches together."""
    return Counts(
        pairwise=float(sum(int(batch.present[:, 0].sum()) for batch in batches)),
        teacher=float(sum(int(batch.known.sum()) for batch in batches)),
        pointwise=float(sum(int(batch.present.sum()) for batch in batches)),
    )


def pairwise_sum(scores: Tensor, batch: Batch, temperature: float) -> Tensor:
    """-log softmax(s / T) at the positive, over its group; summed over groups."""
    rows = batch.present[:, 0]
    masked = (scores[rows] / temperature).masked_fill(~batch.present[rows], float("-inf"))
    return -masked.log_softmax(-1)[:, 0].sum()


def teacher_sum(scores: Tensor, batch: Batch, temperature: float) -> Tensor:
    """Cross-entropy of sigmoid(s / T) and the teacher's probability; summed over the pairs that have one."""
    known = batch.known
    return binary_cross_entropy_with_logits(scores[known] / temperature, batch.soft[known], reduction="sum")


def pointwise_sum(scores: Tensor, batch: Batch, temperature: float, target: float, weight: float) -> Tensor:
    """Cross-entropy of sigmoid(s / T) and the label: 1 for positives, `target` for negatives, which weigh `weight`;
    the weighted values summed over the pairs."""
    targets, weights = torch.full_like(scores, target), torch.full_like(scores, weight)
    targets[:, 0], weights[:, 0] = 1.0, 1.0
    of = batch.present
    return binary_cross_entropy_with_logits(scores[of] / temperature, targets[of], weight=weights[of], reduction="sum")


def ranking_loss(
    scores: Tensor, batch: Batch, settings: LossSettings, whole: Counts | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the terms that are on, and each of them by name, before its weight. The terms are means over
    the batch, or its share of the means over a step that counts `whole`. One that has nothing to count is 0."""
    scores = scores.float()
    of = count([batch]) if whole is None else whole
    terms: dict[str, Tensor] = {}
    if settings.pairwise and settings.pairwise_temperature:
        terms["pairwise"] = pairwise_sum(scores, batch, settings.pairwise_temperature) / max(of.pairwise, 1)
    if settings.teacher and settings.teacher_temperature:
        terms["teacher"] = teacher_sum(scores, batch, settings.teacher_temperature) / max(of.teacher, 1)
    if settings.pointwise and settings.pointwise_temperature:
        summed = pointwise_sum(
            scores, batch, settings.pointwise_temperature, settings.negative_target, settings.negative_weight
        )
        terms["pointwise"] = summed / max(of.pointwise, 1)
    weights = {"pairwise": settings.pairwise, "teacher": settings.teacher, "pointwise": settings.pointwise}
    total = scores.sum() * 0.0
    for name, term in terms.items():
        total = total + weights[name] * term
    return total, terms
