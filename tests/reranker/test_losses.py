"""Each term equals plain NumPy, its gradient reaches the adapter, and 0 turns it off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hardcut.schemas.training import LoraSettings, LossSettings, TrainSettings

pytestmark = pytest.mark.torch
torch: Any = pytest.importorskip("torch")
Array = NDArray[np.float64]

DRAW = np.random.default_rng(3)
SCORES = DRAW.normal(0, 4, (5, 4))
SOFT = DRAW.uniform(0.01, 0.99, (5, 4))
SOFT[1, 2] = SOFT[3, 0] = np.nan
PRESENT = np.ones((5, 4), dtype=bool)
PRESENT[2, 3] = PRESENT[4, 2] = PRESENT[4, 3] = False


def _bce(scores: Array, targets: Array) -> Array:
    p = 1 / (1 + np.exp(-scores))
    return np.asarray(-(targets * np.log(p) + (1 - targets) * np.log(1 - p)))


def _expected(settings: LossSettings) -> dict[str, float]:
    rows = []
    for scores, present in zip(SCORES, PRESENT, strict=True):
        powers = np.exp(scores[present] / settings.pairwise_temperature)
        rows.append(-np.log(powers[0] / powers.sum()))
    known = PRESENT & ~np.isnan(SOFT)
    targets = np.where(np.arange(4) == 0, 1.0, settings.negative_target) * np.ones((5, 1))
    weights = np.where(np.arange(4) == 0, 1.0, settings.negative_weight) * np.ones((5, 1))
    points = weights * _bce(SCORES / settings.pointwise_temperature, targets)
    return {
        "pairwise": float(np.mean(rows)),
        "teacher": float(_bce(SCORES[known] / settings.teacher_temperature, SOFT[known]).mean()),
        "pointwise": float(points[PRESENT].mean()),
    }


def _loss(settings: LossSettings) -> tuple[Any, dict[str, Any]]:
    from hardcut.reranker.losses import Batch, ranking_loss

    batch = Batch(torch.tensor(PRESENT), torch.tensor(SOFT, dtype=torch.float32))
    return ranking_loss(torch.tensor(SCORES, dtype=torch.float32, requires_grad=True), batch, settings)


@pytest.mark.parametrize(
    "settings",
    [
        LossSettings(),
        LossSettings(pairwise_temperature=1.5, teacher_temperature=2, pointwise_temperature=3, negative_target=0.0),
        LossSettings(pairwise=0.3, teacher=1, pointwise=2, negative_weight=1.0),
    ],
)
def test_terms_and_sum_equal_plain_numpy(settings: LossSettings) -> None:
    total, terms = _loss(settings)
    expected = _expected(settings)
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-5), name
    whole = sum(getattr(settings, name) * value for name, value in expected.items())
    assert float(total) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("name", ["pairwise", "teacher", "pointwise"])
@pytest.mark.parametrize("by", ["", "_temperature"])
def test_a_weight_or_temperature_of_zero_turns_a_term_off(name: str, by: str) -> None:
    settings = LossSettings(**{name + by: 0.0})
    total, terms = _loss(settings)
    assert set(terms) == {"pairwise", "teacher", "pointwise"} - {name}
    expected = _expected(LossSettings())
    rest = sum(getattr(settings, other) * value for other, value in expected.items() if other != name)
    assert float(total) == pytest.approx(rest, rel=1e-5)


def test_without_any_soft_label_the_teacher_is_silent() -> None:
    from hardcut.reranker.losses import Batch, ranking_loss

    scores = torch.zeros((2, 3), requires_grad=True)
    batch = Batch(torch.ones((2, 3), dtype=torch.bool), torch.full((2, 3), torch.nan))
    found, terms = ranking_loss(scores, batch, LossSettings(pairwise=0, pointwise=0))
    found.backward()
    assert float(found) == float(terms["teacher"]) == 0.0 and float(scores.grad.abs().sum()) == 0.0


def test_parts_of_a_step_add_up_to_the_whole() -> None:
    """Ragged groups, and a part whose only group has no soft label."""
    from hardcut.reranker.losses import Batch, count, ranking_loss

    soft = torch.tensor(SOFT, dtype=torch.float64)
    soft[2] = torch.nan
    scores, present = torch.tensor(SCORES), torch.tensor(PRESENT)
    total, terms = ranking_loss(scores, Batch(present, soft), LossSettings())
    rows = [slice(0, 2), slice(2, 3), slice(3, 5)]
    batches = [Batch(present[part], soft[part]) for part in rows]
    whole = count(batches)
    assert (whole.pairwise, whole.teacher, whole.pointwise) == (5.0, 12.0, 17.0)
    found = [
        ranking_loss(scores[part], batch, LossSettings(), whole) for part, batch in zip(rows, batches, strict=True)
    ]
    assert sum(float(part) for part, _ in found) == pytest.approx(float(total), rel=1e-6)
    assert {name: sum(float(of[name]) for _, of in found) for name in terms} == pytest.approx(
        {name: float(term) for name, term in terms.items()}, rel=1e-6
    )


@pytest.mark.parametrize("name", ["pairwise", "teacher", "pointwise"])
def test_the_gradient_of_each_term_reaches_the_adapter(name: str, tiny: str, world: Any) -> None:
    from hardcut.reranker.losses import Batch, ranking_loss
    from hardcut.reranker.model import make_trainable, open_reranker
    from hardcut.reranker.trainers import GroupCollator
    from hardcut.reranker.training_data import read_ranking

    off = {other: 0.0 for other in ("pairwise", "teacher", "pointwise") if other != name}
    settings = TrainSettings(lora=LoraSettings(rank=2, dropout=0.0))
    reranker = open_reranker(tiny, None, settings)
    make_trainable(reranker, settings, "ranking")
    batch = GroupCollator(reranker.processor, world.clips, 4)(read_ranking(world, "raw").examples[:2])
    scores = reranker.scores(reranker.network, batch["pairs"]).reshape(batch["present"].shape)
    total, terms = ranking_loss(scores, Batch(batch["present"], batch["soft"]), LossSettings(**off))
    assert set(terms) == {name}
    total.backward()
    gradients = {key: value.grad for key, value in reranker.network.named_parameters() if value.requires_grad}
    assert gradients and all("lora_" in key for key in gradients)
    assert all(value is not None for value in gradients.values())
    assert any(float(value.abs().max()) > 0 for key, value in gradients.items() if "lora_B" in key)


GRADES = np.zeros((5, 4), dtype=int)
GRADES[:, 0], GRADES[0, 1], GRADES[3, 0] = 1, 2, 2


def _softmax(values: Array) -> Array:
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum())


def test_further_terms_equal_plain_numpy_and_add_up() -> None:
    """Listwise distillation, MarginMSE and ListNet over grades, whole and in parts; RANKVIDEO's are as without them."""
    from hardcut.reranker.losses import Batch, count, ranking_loss

    settings = LossSettings(listwise=0.7, listwise_temperature=2, margin=0.1, graded=0.5, graded_temperature=3)
    margins = np.log(SOFT / (1 - SOFT))
    listwise, margin, graded = [], [], []
    for row in range(5):
        known = PRESENT[row] & ~np.isnan(SOFT[row])
        ours, theirs = (_softmax(values[row][known] / 2) for values in (SCORES, margins))
        listwise.append(float((theirs * np.log(theirs / ours)).sum()))
        if known[0]:
            gaps = (SCORES[row][0] - SCORES[row]) - (margins[row][0] - margins[row])
            margin += [float(gap) ** 2 for gap, told in zip(gaps[1:], known[1:], strict=True) if told]
        gains = 2.0 ** GRADES[row][PRESENT[row]] - 1
        graded.append(float(-(gains / gains.sum() * np.log(_softmax(SCORES[row][PRESENT[row]] / 3))).sum()))
    present, soft, grades = torch.tensor(PRESENT), torch.tensor(SOFT), torch.tensor(GRADES)
    scores = torch.tensor(SCORES, requires_grad=True)
    total, terms = ranking_loss(scores, Batch(present, soft, grades), settings)
    found = {name: float(term) for name, term in terms.items()}
    expected = {**_expected(settings), "listwise": np.mean(listwise), "margin": np.mean(margin)}
    assert found == pytest.approx({**expected, "graded": np.mean(graded)}, rel=1e-5)
    total.backward()
    assert bool(scores.grad.isfinite().all()) and not bool((scores.grad[~present] != 0).any())
    rows = [slice(0, 2), slice(2, 3), slice(3, 5)]
    batches = [Batch(present[part], soft[part], grades[part]) for part in rows]
    parts = [
        ranking_loss(scores.detach()[part], batch, settings, count(batches))[0]
        for part, batch in zip(rows, batches, strict=True)
    ]
    assert sum(map(float, parts)) == pytest.approx(float(total.detach()), rel=1e-5)


def test_with_one_relevant_video_a_group_grades_are_the_pairwise_term() -> None:
    from hardcut.reranker.losses import Batch, graded_sum, pairwise_sum

    batch = Batch(torch.tensor(PRESENT), torch.tensor(SOFT))
    assert float(graded_sum(torch.tensor(SCORES), batch, 10)) == pytest.approx(
        float(pairwise_sum(torch.tensor(SCORES), batch, 10))
    )


def test_without_a_teacher_the_further_terms_are_silent() -> None:
    from hardcut.reranker.losses import Batch, ranking_loss

    scores = torch.zeros((2, 3), requires_grad=True)
    batch = Batch(torch.ones((2, 3), dtype=torch.bool), torch.full((2, 3), torch.nan))
    settings = LossSettings(pairwise=0, pointwise=0, teacher=0, listwise=1, margin=1)
    found, terms = ranking_loss(scores, batch, settings)
    found.backward()
    assert set(terms) == {"listwise", "margin"} and float(found.detach()) == 0.0
    assert float(scores.grad.abs().sum()) == 0.0


def test_a_negative_that_scores_high_weighs_more_and_its_weight_has_no_gradient() -> None:
    """The pairwise term with hardness: -log of the positive's share, each negative's times exp(hardness s / T)."""
    from hardcut.reranker.losses import Batch, pairwise_sum

    batch, hardness, temperature = Batch(torch.tensor(PRESENT), torch.tensor(SOFT)), 0.8, 2.0
    scores = torch.tensor(SCORES, requires_grad=True)
    found = pairwise_sum(scores, batch, temperature, hardness)
    found.backward()
    expected, gradients = 0.0, np.zeros_like(SCORES)
    for row, (values, present) in enumerate(zip(SCORES / temperature, PRESENT, strict=True)):
        weights = np.exp(hardness * values)
        weights[0] = 1.0
        shares = np.where(present, weights * np.exp(values), 0.0)
        shares = shares / shares.sum()
        expected -= np.log(shares[0])
        gradients[row] = (shares - (np.arange(4) == 0)) / temperature
    assert float(found.detach()) == pytest.approx(expected)
    assert scores.grad.numpy() == pytest.approx(gradients)
    assert float(pairwise_sum(torch.tensor(SCORES), batch, temperature, 0.0)) < float(found.detach())
