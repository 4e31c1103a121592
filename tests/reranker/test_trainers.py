"""The loss of a step of stage 2: over groups, and over blocks of counterfactuals where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardcut.reranker.examples import Group, read_ranking
from hardcut.schemas.training import LoraSettings, LossSettings, RankingSettings, TrainSettings

pytestmark = pytest.mark.torch
SETTINGS = TrainSettings(lora=LoraSettings(rank=2, dropout=0.0))


@pytest.fixture(scope="module")
def reranker(tiny: str) -> Any:
    from hardcut.reranker.model import make_trainable, open_reranker

    made = open_reranker(tiny, None, SETTINGS)
    make_trainable(made, SETTINGS, "ranking")
    return made


def _groups(blocks: Any) -> tuple[Group, ...]:
    """Three groups with two blocks, none and two, the first of which lacks a negative."""
    first, *others = read_ranking(blocks, "raw", blocks=2).examples[:3]
    assert [len(group.blocks) for group in (first, *others)] == [2, 0, 2]
    return replace(first, negatives=first.negatives[:1]), *others


def _step(
    reranker: Any, world: Any, groups: Sequence[Group], out: Path, loss: LossSettings
) -> tuple[Any, dict[str, float], Any]:
    """The loss of a step over the groups, its terms as they are logged, and the batch."""
    from transformers import TrainingArguments

    from hardcut.reranker.trainers import GroupCollator, RankingTrainer

    batch = GroupCollator(reranker.processor, world.clips, 4)(groups)
    trainer = RankingTrainer(
        model=reranker.network, args=TrainingArguments(str(out), use_cpu=True, report_to="none"), reranker=reranker,
        loss=loss, measure=lambda _: 0.0,
    )  # fmt: skip
    total = trainer.compute_loss(reranker.network, batch)
    return total, {name: float(terms[0]) for name, terms in trainer._terms.items()}, batch


def test_without_blocks_the_loss_is_exactly_that_of_the_groups(reranker: Any, blocks: Any, tmp_path: Path) -> None:
    import torch

    from hardcut.reranker.losses import Batch, ranking_loss
    from hardcut.teacher.local.pair_prompt import pair_inputs, read_clip

    groups = [replace(group, blocks=()) for group in _groups(blocks)]
    total, terms, batch = _step(reranker, blocks, groups, tmp_path, LossSettings())
    pairs = [(g.query, read_clip(blocks.clips.frames(each.video, 4))) for g in groups for each in g.candidates]
    inputs = pair_inputs(reranker.processor, pairs)
    assert set(batch["pairs"]) == set(inputs)
    assert all(torch.equal(batch["pairs"][name], value) for name, value in inputs.items())
    present = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])
    scores = torch.zeros(present.shape).masked_scatter(present, reranker.scores(reranker.network, inputs).float())
    expected, alone = ranking_loss(scores, Batch(present, batch["soft"]), LossSettings())
    assert float(total) == float(expected)
    assert terms == {name: float(term) for name, term in alone.items()}


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_blocks_go_through_the_same_terms_as_groups(reranker: Any, blocks: Any, tmp_path: Path, weight: float) -> None:
    """Column 0 is answered, column 1 is not; the sum is weighted as a whole, and each term is logged."""
    import torch

    from hardcut.reranker.losses import Batch, ranking_loss
    from hardcut.teacher.local.pair_prompt import pair_inputs, read_clip

    settings = LossSettings(counterfactuals=weight)
    groups = _groups(blocks)
    total, terms, _ = _step(reranker, blocks, groups, tmp_path, settings)
    alone, of_groups, _ = _step(reranker, blocks, [replace(group, blocks=()) for group in groups], tmp_path, settings)

    def score(query: str, group: Any) -> Any:
        clip = read_clip(blocks.clips.frames(group.positive.video, 4))
        return reranker.scores(reranker.network, pair_inputs(reranker.processor, [(query, clip)]))[0]

    of = [(group, block) for group in groups for block in group.blocks]
    matrix = torch.stack([torch.stack([score(b.answered.query, g), score(b.unanswered.query, g)]) for g, b in of])
    soft = torch.tensor([[block.answered.soft, block.unanswered.soft] for _, block in of])
    expected, more = ranking_loss(matrix, Batch(torch.ones_like(matrix, dtype=torch.bool), soft), settings)
    assert float(total) == pytest.approx(float(alone) + weight * float(expected), abs=1e-5)
    assert set(terms) == set(of_groups) | {f"counterfactuals_{name}" for name in more}
    for name, term in more.items():
        assert terms[f"counterfactuals_{name}"] == pytest.approx(float(term), abs=1e-5)
    assert float(matrix.detach().diff(dim=1).abs().min()) > 1e-6, "no two queries of a block score alike"


def test_counterfactuals_that_weigh_nothing_are_not_read() -> None:
    assert RankingSettings(counterfactuals=3).blocks == 3
    assert RankingSettings(counterfactuals=3, loss=LossSettings(counterfactuals=0.0)).blocks == 0
