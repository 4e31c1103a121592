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


def test_temperature_and_intercept_are_found() -> None:
    dice = random.Random(7)
    margins = [dice.gauss(0, 6) for _ in range(20_000)]
    found = fit_temperature(margins, [dice.random() < sigmoid(margin / 3 - 1) for margin in margins])
    assert found.temperature == pytest.approx(3.0, rel=0.05) and found.intercept == pytest.approx(-1.0, abs=0.1)


@settings(max_examples=50, deadline=None)
@given(PAIRS, st.sampled_from([0.01, 1.0, 10.0]))
def test_temperature_and_intercept_are_scikit_learns(pairs: list[tuple[float, bool]], unit: float) -> None:
    """Platt's targets are weights of both answers there."""
    from sklearn.linear_model import LogisticRegression

    margins, relevant = [unit * margin for margin, _ in pairs], [is_so for _, is_so in pairs]
    positive = sum(relevant)
    high, low = (positive + 1) / (positive + 2), 1 / (len(pairs) - positive + 2)
    weights = [high if is_so else low for is_so in relevant]
    model = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000).fit(
        [[margin / unit] for margin in margins * 2],
        [True] * len(pairs) + [False] * len(pairs),
        sample_weight=weights + [1 - weight for weight in weights],
    )
    found = fit_temperature(margins, relevant)
    if model.coef_[0][0] > unit / 900 and len(set(margins)) > 1:
        assert found.temperature / unit == pytest.approx(1 / model.coef_[0][0], rel=1e-3)
        assert found.intercept == pytest.approx(model.intercept_[0], abs=1e-3)
    for margin in margins:
        assert 0 < found(margin) < 1


def test_margins_that_part_the_classes_have_a_finite_fit_and_falling_ones_say_nothing() -> None:
    apart = fit_temperature([-2.0, -1.0, 1.0, 2.0], [False, False, True, True])
    assert apart.temperature > 0.1 and 0.5 < apart(2.0) < 0.99
    falling = fit_temperature([-1.0, 1.0] * 50, [True, False] * 50)
    assert falling.temperature == 1e3 and falling(1.0) == pytest.approx(0.5, abs=0.01)
    alike = fit_temperature([2.0] * 40, [True] * 30 + [False] * 10)
    assert alike(2.0) == pytest.approx(0.75, abs=0.02)


def test_500_labels_are_enough_for_probabilities_that_hold() -> None:
    """Overconfident and biased margins; ECE over 10,000 other pairs of the same world, the mean of ten draws."""
    raw, held = [], []
    for seed in range(10):
        dice = random.Random(seed)

        def pairs(count: int, dice: random.Random = dice) -> list[JudgedPair]:
            margins = [dice.gauss(1, 6) for _ in range(count)]
            return [
                JudgedPair(f"q{n}", "event", m, dice.random() < sigmoid(m / 3 - 1.5)) for n, m in enumerate(margins)
            ]

        fitted = calibrate("m", pairs(500))
        assert fitted.applied != "raw" and not fitted.refusal
        others = pairs(10_000)
        relevant = [pair.relevant for pair in others]
        raw.append(figures([fitted.probability(pair.margin, "raw") for pair in others], relevant).ece)
        held.append(figures([fitted.probability(pair.margin) for pair in others], relevant).ece)
    assert min(raw) > 0.2 and sum(held) / len(held) <= 0.03 and max(held) < 0.06, held


def test_few_labels_and_fits_that_do_not_help_are_told_and_not_applied() -> None:
    few = calibrate("m", [JudgedPair(f"q{n}", "event", float(n - 2), n > 2) for n in range(5)])
    assert few.applied == "raw" and "only 2 pairs were judged, and 30 are needed" in few.refusal
    assert (few.trusted_below, few.suspected_above) == (None, None)
    one_class = calibrate("m", [JudgedPair(f"q{n}", "event", n / 10 - 25, n > 470) for n in range(500)])
    assert "only 29 pairs" in one_class.refusal
    right = calibrate("m", [pair for seed in range(3) for pair in world(60, 1.0, seed)])
    assert min(right.overall["raw"].relevant, 180 - right.overall["raw"].relevant) >= 30
    assert right.refusal.startswith("no fit beats the raw margins") and right.probability(3.0) == sigmoid(3.0)


def test_no_calibrated_probability_is_certain() -> None:
    """Margins that part the classes without fault say no more than as many judgments can."""
    pairs = [JudgedPair(f"q{n}", "event", (n - 49.5) * 2, n >= 50) for n in range(100)]
    fitted = calibrate("m", pairs)
    for method in ("temperature", "isotonic"):
        assert fitted.probability(1e6, method) <= 101 / 102 and fitted.probability(-1e6, method) >= 1 / 102  # type: ignore[arg-type]


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
    flattered = figures([fitted.probability(p.margin, "isotonic") for p in noise], [p.relevant for p in noise])
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
