"""The logistic function: from a margin in logits to a probability, exact at both ends."""

from __future__ import annotations

import math


def sigmoid(margin: float) -> float:
    """1 / (1 + exp(-margin)) without overflow."""
    if margin >= 0:
        return 1 / (1 + math.exp(-margin))
    return math.exp(margin) / (1 + math.exp(margin))


def log_sigmoid(margin: float) -> float:
    """log sigmoid(margin) without loss of digits at either end."""
    return -math.log1p(math.exp(-margin)) if margin >= 0 else margin - math.log1p(math.exp(margin))
