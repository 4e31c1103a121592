"""Calibration against scikit-learn's, and on worlds whose truth is known."""

from __future__ import annotations

import math
import random
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardcut.report.plots.reliability import reliability_diagram
from hardcut.report.statistics.calibration import (
    JudgedPair,
    auc,
    calibrate,
    figures,
    fit_isotonic,
    fit_temperature,
)
from hardcut.schemas.logistic import sigmoid

PAIRS = st.lists(st.tuples(st.integers(-40, 40).map(lambda n: n / 4), st.booleans()), min_size=2, max_size=60).filter(
    lambda pairs: len({relevant for _, relevant in pairs}) == 2
)


def world(size: int, temperature: float, seed: int = 7) -> list[JudgedPair]:
    """Pairs whose true probability is sigmoid(margin / temperature)."""
    dice = random.Random(seed)
    pairs = []
    for number in range(size):
        margin = dice.gauss(0, 6)
        kind = "temporal" if number % 3 else "event"
        pairs.append(JudgedPair(f"q{number // 4}", kind, margin, dice.random() < sigmoid(margin / temperature)))
    return pairs


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_isotonic_is_scikit_learns(pairs: list[tuple[float, bool]]) -> None:
    from sklearn.isotonic import IsotonicRegression

    margins, relevant = [margin for margin, _ in pairs], [is_so for _, is_so in pairs]
    ours = fit_isotonic(margins, relevant)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(margins, [float(is_so) for is_so in relevant])
    asked = [-20.0, *sorted(margins), 0.1, 3.3, 20.0]
    for at, value in zip(asked, theirs.predict(asked), strict=True):
        assert ours(at) == pytest.approx(value, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_auc_and_brier_are_scikit_learns(pairs: list[tuple[float, bool]]) -> None:
    from sklearn.metrics import brier_score_loss, roc_auc_score

    probabilities, relevant = [sigmoid(margin) for margin, _ in pairs], [is_so for _, is_so in pairs]
    assert auc(probabilities, relevant) == pytest.approx(roc_auc_score(relevant, probabilities))
    assert figures(probabilities, relevant).brier == pytest.approx(brier_score_loss(relevant, probabilities))


def test_the_temperature_is_found() -> None:
    pairs = world(20_000, temperature=3.0)
    assert fit_temperature([p.margin for p in pairs], [p.relevant for p in pairs]) == pytest.approx(3.0, rel=0.05)


def test_the_temperature_is_scikit_learns_scale() -> None:
    from sklearn.linear_model import LogisticRegression

    pairs = world(500, temperature=2.0)
    margins, relevant = [p.margin for p in pairs], [p.relevant for p in pairs]
    model = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10).fit([[m] for m in margins], relevant)
    assert fit_temperature(margins, relevant) == pytest.approx(1 / model.coef_[0][0], rel=1e-3)


@pytest.mark.parametrize(
    ("margins", "relevant", "limit"),
    [([-2.0, -1.0, 1.0, 2.0], [False, False, True, True], 1e-3), ([-1.0, 1.0], [True, False], 1e3)],
)
def test_the_temperature_has_limits(margins: list[float], relevant: list[bool], limit: float) -> None:
    assert fit_temperature(margins, relevant) == limit


def test_overconfident_margins_become_probabilities_that_hold_by_kind_too() -> None:
    fitted = calibrate("openai:m", world(4000, temperature=4.0))
    raw, temperature, isotonic = (fitted.overall[method] for method in ("raw", "temperature", "isotonic"))
    assert raw.ece > 0.15 and temperature.ece < 0.03 and isotonic.ece < 0.03
    assert temperature.brier < raw.brier and isotonic.brier < raw.brier
    assert raw.auc is not None and temperature.auc is not None
    assert temperature.auc == pytest.approx(raw.auc, abs=0.005), "a temperature changes no order"
    assert set(fitted.by_kind) == {"event", "temporal"}
    assert sum(by["raw"].pairs for by in fitted.by_kind.values()) == raw.pairs == 4000
    assert fitted.by_kind["temporal"]["isotonic"].ece < fitted.by_kind["temporal"]["raw"].ece
    assert fitted.probability(8.0, "temperature") == pytest.approx(sigmoid(2.0), abs=0.02)
    assert fitted.probability(8.0, "raw") == sigmoid(8.0)


def test_figures_after_are_not_those_of_the_pairs_it_was_fitted_on() -> None:
    """Of noise nothing can be learned; measured on what it was fitted on, isotonic would look better than chance."""
    dice = random.Random(3)
    noise = [JudgedPair(f"q{n}", "event", dice.gauss(0, 3), dice.random() < 0.5) for n in range(60)]
    fitted = calibrate("m", noise)
    flattered = figures([fitted.probability(p.margin) for p in noise], [p.relevant for p in noise])
    assert flattered.auc is not None and flattered.auc > 0.55
    assert fitted.overall["isotonic"].brier > flattered.brier


def test_ece_of_a_hand_computed_case() -> None:
    found = figures([0.05, 0.05, 0.95, 0.95], [False, True, True, True])
    assert found.ece == pytest.approx((2 * 0.45 + 2 * 0.05) / 4)
    assert [each.count for each in found.bins] == [2, 2]


def test_judgments_of_one_class_are_refused() -> None:
    with pytest.raises(ValueError, match="both kinds"):
        calibrate("m", [JudgedPair("q", "event", 1.0, True)] * 5)


def test_the_diagram_is_well_formed_and_shows_every_method() -> None:
    svg = reliability_diagram(calibrate("m", world(300, 2.0)))
    root = ElementTree.fromstring(svg)
    texts = [element.text or "" for element in root.iter() if element.text]
    assert all(any(method in text for text in texts) for method in ("raw", "temperature", "isotonic"))
    numbers: list[Any] = [element.get("cx") for element in root.iter() if element.get("cx")]
    assert numbers and all(math.isfinite(float(number)) for number in numbers)


def test_thresholds_part_the_sure_from_the_rest() -> None:
    dice = random.Random(5)
    pairs = [
        JudgedPair(f"q{n}", "event", margin := dice.uniform(-10, 10), dice.random() < sigmoid(margin))
        for n in range(4000)
    ]
    found = calibrate("t", pairs)
    assert found.trusted_below is not None and -5 < found.trusted_below < -1.5
    assert found.suspected_above is not None and 1.5 < found.suspected_above < 5
    below = [pair.relevant for pair in pairs if pair.margin <= found.trusted_below]
    assert sum(below) <= 0.05 * len(below)


def test_thresholds_that_nothing_supports_are_none() -> None:
    pairs = [JudgedPair(f"q{n}", "event", float(n % 7), n % 2 == 0) for n in range(70)]
    found = calibrate("t", pairs)
    assert (found.trusted_below, found.suspected_above) == (None, None)
