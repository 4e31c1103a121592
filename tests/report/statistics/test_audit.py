"""The teacher's figures out of an audit, against worlds whose truth is known."""

from __future__ import annotations

import random

import pytest

from hardcut.report.statistics.audit import Cell, Judged, estimate, share_of


def cell(yes: bool, population: int, audited: int, relevant: int) -> Cell:
    """Pairs drawn with equal probability, all judged."""
    return Cell(yes, population, [Judged(audited / population, at < relevant) for at in range(audited)])


def test_by_hand() -> None:
    """100 yes of which 8 of 10 audited are right, 900 no of which 1 of 10 is wrong: 80 of 80 + 90 are found."""
    found = estimate("t", [cell(True, 100, 10, 8), cell(False, 900, 10, 1)])
    assert found.precision == pytest.approx(0.8) and found.recall == pytest.approx(80 / 170)
    assert (found.pairs, found.audited) == (1000, 20)
    assert found.precision_interval[0] < 0.8 < found.precision_interval[1]
    assert found.recall_interval[0] < 80 / 170 < found.recall_interval[1]


def test_a_part_that_nobody_looked_at_is_not_guessed() -> None:
    found = estimate("t", [cell(True, 100, 10, 8), cell(False, 900, 0, 0)])
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
        found = estimate("t", [cell(True, 300, 60, yes), cell(False, 2700, 60, no)])
        recall = 300 * p / (300 * p + 2700 * q)
        held["precision"] += found.precision_interval[0] <= p <= found.precision_interval[1]
        held["recall"] += found.recall_interval[0] <= recall <= found.recall_interval[1]
    assert all(count >= 0.9 * worlds for count in held.values()), held


def test_a_pair_counts_by_how_likely_it_was_to_be_drawn() -> None:
    """Of 10 drawn with .5 all are relevant, of 2 drawn with .1 none: 20 of 40."""
    found = share_of([*[Judged(0.5, True)] * 10, *[Judged(0.1, False)] * 2])
    assert found.value == pytest.approx(20 / 40) and found.effective < 12


def test_where_all_were_judged_nothing_is_uncertain() -> None:
    found = estimate("t", [cell(True, 10, 10, 8), cell(False, 90, 90, 2)])
    assert (found.precision, found.recall) == (0.8, 0.8)
    assert found.precision_interval == pytest.approx((0.8, 0.8)) == found.recall_interval
    assert not found.few and estimate("t", [cell(True, 100, 5, 4), cell(False, 900, 40, 2)]).few


def test_who_does_not_answer_leaves_less_known_not_more() -> None:
    asked = [Judged(1.0, True)] * 6 + [Judged(1.0, False)] * 2
    whole, half = share_of(asked), share_of([*asked, *[Judged(1.0, None)] * 8])
    assert whole.value == half.value == 0.75
    assert whole.effective == float("inf") and half.effective == pytest.approx(16)
    assert share_of([Judged(0.5, None)]).value is None
