"""The losses of stage 2, each a pure function of scores (RANKVIDEO, arXiv 2602.02444, section on training).

`scores` is [groups, 1 + K], the log-odds of yes; the first column is the positive, the others its negatives. `present`
is of the same shape and false where a group has fewer negatives than the widest.
"""

from __future__ import annotations

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


def pairwise_loss(scores: Tensor, batch: Batch, temperature: float) -> Tensor:
    """-log softmax(s / T) at the positive, over its group; mean over groups."""
    masked = (scores / temperature).masked_fill(~batch.present, float("-inf"))
    return -masked.log_softmax(-1)[:, 0].mean()


def teacher_loss(scores: Tensor, batch: Batch, temperature: float) -> Tensor:
    """Cross-entropy of sigmoid(s / T) and the teacher's probability; mean over the pairs that have one, 0 if none."""
    known = batch.present & ~batch.soft.isnan()
    if not known.any():
        return scores.sum() * 0.0
    return binary_cross_entropy_with_logits(scores[known] / temperature, batch.soft[known])


def pointwise_loss(scores: Tensor, batch: Batch, temperature: float, target: float, weight: float) -> Tensor:
    """Cross-entropy of sigmoid(s / T) and the label: 1 for positives, `target` for negatives, which weigh `weight`;
    mean of the weighted values over the pairs."""
    targets, weights = torch.full_like(scores, target), torch.full_like(scores, weight)
    targets[:, 0], weights[:, 0] = 1.0, 1.0
    of = batch.present
    return binary_cross_entropy_with_logits(scores[of] / temperature, targets[of], weight=weights[of])


def ranking_loss(scores: Tensor, batch: Batch, settings: LossSettings) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the terms that are on, and each of them by name, before its weight."""
    scores = scores.float()
    terms: dict[str, Tensor] = {}
    if settings.pairwise and settings.pairwise_temperature:
        terms["pairwise"] = pairwise_loss(scores, batch, settings.pairwise_temperature)
    if settings.teacher and settings.teacher_temperature:
        terms["teacher"] = teacher_loss(scores, batch, settings.teacher_temperature)
    if settings.pointwise and settings.pointwise_temperature:
        terms["pointwise"] = pointwise_loss(
            scores, batch, settings.pointwise_temperature, settings.negative_target, settings.negative_weight
        )
    weights = {"pairwise": settings.pairwise, "teacher": settings.teacher, "pointwise": settings.pointwise}
    total = scores.sum() * 0.0
    for name, term in terms.items():
        total = total + weights[name] * term
    return total, terms
