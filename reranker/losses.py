"""The losses of stage 2, each a pure function of scores: RANKVIDEO's (arXiv 2602.02444, section on training), and
others that are off unless they are given a weight.

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
    """What the scores of some groups are held against. `soft` is the teacher's probability, NaN where there is none.
    `grades` are the labels, 0, 1 or 2, of the same shape; None: 1 for positives and 0 for negatives."""

    present: Tensor
    soft: Tensor
    grades: Tensor | None = None

    @property
    def known(self) -> Tensor:
        """Which pairs have the teacher's probability."""
        return self.present & ~self.soft.isnan()

    @property
    def listed(self) -> Tensor:
        """Which groups have the teacher's probability of two pairs or more, [groups]: an order that it gives."""
        return self.known.sum(1) > 1

    @property
    def differing(self) -> Tensor:
        """Which negatives have the teacher's probability, as their positive has."""
        known = self.known
        return known[:, 1:] & known[:, :1]


@dataclass(frozen=True, slots=True)
class Counts:
    """What each term is a mean over: groups (`pairwise`, also of `graded`), pairs with the teacher's probability
    (`teacher`), pairs (`pointwise`), groups that the teacher orders (`listwise`), and negatives with the teacher's
    probability beside a positive with it (`margin`)."""

    pairwise: float
    teacher: float
    pointwise: float
    listwise: float = 0.0
    margin: float = 0.0


def count(batches: Sequence[Batch]) -> Counts:
    """The counts of several batches together."""
    return Counts(
        pairwise=float(sum(int(batch.present[:, 0].sum()) for batch in batches)),
        teacher=float(sum(int(batch.known.sum()) for batch in batches)),
        pointwise=float(sum(int(batch.present.sum()) for batch in batches)),
        listwise=float(sum(int(batch.listed.sum()) for batch in batches)),
        margin=float(sum(int(batch.differing.sum()) for batch in batches)),
    )


def pairwise_sum(scores: Tensor, batch: Batch, temperature: float, hardness: float = 0.0) -> Tensor:
    """-log softmax(s / T) at the positive, over its group; summed over groups. In the denominator a negative weighs
    exp(`hardness` s / T), which has no gradient: those that score high now count more (LLaVE, arXiv 2503.04812)."""
    rows = batch.present[:, 0]
    logits = scores[rows] / temperature
    if hardness:
        weights = hardness * logits.detach()
        weights[:, 0] = 0.0
        logits = logits + weights
    masked = logits.masked_fill(~batch.present[rows], float("-inf"))
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


def listwise_sum(scores: Tensor, batch: Batch, temperature: float) -> Tensor:
    """KL divergence of softmax(s / T) from the teacher's, over the pairs of a group that have its probability (the
    distillation of rankings: ListNet's cross-entropy, Cao et al. 2007, less the entropy); summed over groups."""
    of, known = batch.listed, batch.known[batch.listed]
    ours, theirs = (
        (values[of] / temperature).masked_fill(~known, float("-inf")).log_softmax(-1)
        for values in (scores, _margins(batch))
    )
    apart = theirs.exp() * (theirs - ours).masked_fill(~known, 0.0)
    return apart.sum()


def margin_sum(scores: Tensor, batch: Batch) -> Tensor:
    """Squared difference of s_positive - s_negative and the teacher's (MarginMSE, Hofstätter et al. 2020); summed over
    the negatives where both are known."""
    margins, of = _margins(batch), batch.differing
    ours, theirs = (values[:, :1] - values[:, 1:] for values in (scores, margins))
    return (ours[of] - theirs[of]).square().sum()


def graded_sum(scores: Tensor, batch: Batch, temperature: float) -> Tensor:
    """Cross-entropy of softmax(s / T) and the share of each pair in its group's gain, 2^grade - 1 (ListNet); summed
    over groups. With one relevant pair a group it is the pairwise term."""
    rows = batch.present[:, 0]
    present = batch.present[rows]
    grades = batch.grades
    if grades is None:
        grades = torch.zeros_like(batch.present, dtype=torch.long)
        grades[:, 0] = 1
    gains = (2.0 ** grades[rows].to(scores.dtype) - 1).masked_fill(~present, 0.0)
    logs = (scores[rows] / temperature).masked_fill(~present, float("-inf")).log_softmax(-1).masked_fill(~present, 0.0)
    return -(gains / gains.sum(-1, keepdim=True).clamp(min=1e-9) * logs).sum()


def _margins(batch: Batch) -> Tensor:
    """The teacher's log-odds; a probability of 0 or 1 is taken for one that is nearly so."""
    return batch.soft.clamp(1e-6, 1 - 1e-6).logit().nan_to_num(0.0)


def ranking_loss(
    scores: Tensor, batch: Batch, settings: LossSettings, whole: Counts | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the terms that are on, and each of them by name, before its weight. The terms are means over
    the batch, or its share of the means over a step that counts `whole`. One that has nothing to count is 0."""
    scores = scores.float()
    of = count([batch]) if whole is None else whole
    terms: dict[str, Tensor] = {}
    if settings.pairwise and settings.pairwise_temperature:
        summed = pairwise_sum(scores, batch, settings.pairwise_temperature, settings.hardness)
        terms["pairwise"] = summed / max(of.pairwise, 1)
    if settings.teacher and settings.teacher_temperature:
        terms["teacher"] = teacher_sum(scores, batch, settings.teacher_temperature) / max(of.teacher, 1)
    if settings.pointwise and settings.pointwise_temperature:
        summed = pointwise_sum(
            scores, batch, settings.pointwise_temperature, settings.negative_target, settings.negative_weight
        )
        terms["pointwise"] = summed / max(of.pointwise, 1)
    if settings.listwise and settings.listwise_temperature:
        terms["listwise"] = listwise_sum(scores, batch, settings.listwise_temperature) / max(of.listwise, 1)
    if settings.margin:
        terms["margin"] = margin_sum(scores, batch) / max(of.margin, 1)
    if settings.graded and settings.graded_temperature:
        terms["graded"] = graded_sum(scores, batch, settings.graded_temperature) / max(of.pairwise, 1)
    weights: dict[str, float] = {name: getattr(settings, name) for name in terms}
    total = scores.sum() * 0.0
    for name, term in terms.items():
        total = total + weights[name] * term
    return total, terms
