"""The teacher's figures out of an audit, against worlds whose truth is known."""

from __future__ import annotations

import random

import pytest

from hardcut.report.statistics.audit import Cell, estimate


def test_by_hand() -> None:
    """100 yes of which 8 of 10 audited are right, 900 no of which 1 of 10 is wrong: 80 of 80 + 90 are found."""
    found = estimate("t", [Cell(True, 100, 10, 8), Cell(False, 900, 10, 1)])
    assert found.precision == pytest.approx(0.8) and found.recall == pytest.approx(80 / 170)
    assert (found.pairs, found.audited) == (1000, 20)
    assert found.precision_interval[0] < 0.8 < found.precision_interval[1]
    assert found.recall_interval[0] < 80 / 170 < found.recall_interval[1]


def test_a_part_that_nobody_looked_at_is_not_guessed() -> None:
    found = estimate("t", [Cell(True, 100, 10, 8), Cell(False, 900, 0, 0)])
    assert found.precision == pytest.approx(0.8) and found.recall is None
    assert found.recall_interval[0] < 0.2 and found.recall_interval[1] > 0.5
    assert estimate("t", []).precision is None


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    dice = random.Random(1)
    held = {"precision": 0, "recall": 0}
    worlds = 150
    for _ in range(worlds):
        p, q = dice.uniform(0.5, 0.95), dice.uniform(0.005, 0.1)
        yes = sum(dice.random() < p for _ in range(60))
        no = sum(dice.random() < q for _ in range(60))
        found = estimate("t", [Cell(True, 300, 60, yes), Cell(False, 2700, 60, no)])
        recall = 300 * p / (300 * p + 2700 * q)
        held["precision"] += found.precision_interval[0] <= p <= found.precision_interval[1]
        held["recall"] += found.recall_interval[0] <= recall <= found.recall_interval[1]
    assert all(count >= 0.9 * worlds for count in held.values()), held
