"""The loss of a step of stage 2: over groups, and over blocks of counterfactuals where there are any."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hardcut.reranker.examples import Group
from hardcut.reranker.training_data import read_perception, read_ranking
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


def test_a_video_that_cannot_be_read_costs_its_pairs_alone(
    reranker: Any, blocks: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss is that of the step without them; where nothing is left it is 0."""
    import torch

    groups = _groups(blocks)
    gone = replace(groups[1].positive, video=replace(groups[1].positive.video, sha256="0" * 64))
    lost = replace(groups[2].negatives[0], video=replace(groups[2].negatives[0].video, sha256="1" * 64))
    broken = [
        groups[0],
        replace(groups[1], positive=gone),
        replace(groups[2], negatives=(*groups[2].negatives[1:], lost)),
    ]
    total, terms, batch = _step(reranker, blocks, broken, tmp_path, LossSettings())
    whole = [groups[0], replace(groups[2], negatives=groups[2].negatives[1:])]
    expected, alone, _ = _step(reranker, blocks, whole, tmp_path, LossSettings())
    assert float(total) == pytest.approx(float(expected), rel=1e-5) and terms == pytest.approx(alone, rel=1e-5)
    assert batch["present"].tolist()[1] == [False] * 3
    assert capsys.readouterr().err.count(f"left out: the video {gone.video.video_id}: no_file") == 1
    nothing, _, _ = _step(reranker, blocks, [replace(groups[0], positive=gone)], tmp_path, LossSettings())
    nothing.backward()
    assert float(nothing) == 0.0 and all(
        bool(torch.isfinite(value.grad).all()) for value in reranker.network.parameters() if value.grad is not None
    )


def test_one_frame_is_trained_on_and_a_damaged_one_costs_no_training(
    reranker: Any, blocks: Any, tmp_path: Path
) -> None:
    import torch

    from hardcut.reranker.clips import ClipReader
    from hardcut.reranker.trainers import IGNORED, CaptionCollator, GroupCollator, PerceptionTrainer

    groups = _groups(blocks)
    batch = GroupCollator(reranker.processor, blocks.clips, 1)(groups)
    assert bool(torch.isfinite(reranker.scores(reranker.network, batch["pairs"])).all())
    video = groups[0].positive.video
    whole = ClipReader(blocks.clips, 1).read(video)
    assert whole is not None and whole.array.shape[0] == 2 and whole.times_s[0] == whole.times_s[1]
    store = tmp_path / "frames"
    shutil.copytree(blocks.clips.store, store)
    copied = replace(blocks.clips, store=store)
    path, _ = copied.frames(video, 1)[0]
    path.write_bytes(path.read_bytes()[:100])
    reader = ClipReader(copied, 1)
    assert reader.read(video) is None and "not in the folder" in reader.unreadable[video.video_id]
    captions = read_perception(blocks).examples
    example = next(each for each in captions if each.video == video)
    settings = SETTINGS.model_copy(update={"perception": SETTINGS.perception.model_copy(update={"frames": 1})})
    made = dict(CaptionCollator(reranker.processor, copied, settings)([example]))
    assert bool((made["labels"] == IGNORED).all())
    trainer: Any = SimpleNamespace(_whole=lambda loss: loss)
    loss = PerceptionTrainer.compute_loss(trainer, reranker.network, made, num_items_in_batch=[0.0])
    assert float(loss.detach()) == 0.0
