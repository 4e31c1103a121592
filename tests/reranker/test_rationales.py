"""The teacher's reasoning as a second target: what of it is read, what has labels, and what it costs a step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardcut.reranker.naming import named_data, named_settings
from hardcut.reranker.training_data import read_ranking
from hardcut.schemas.training import LossSettings, RankingSettings, TrainSettings

ON = TrainSettings(ranking=RankingSettings(loss=LossSettings(rationale=0.5)))


@pytest.fixture
def reasoned(blocks: Any) -> Any:
    """The world whose teacher gives reasons, but of one pair; people overruled it on another one."""
    pairs = []
    for split, row in blocks.tables["pairs"]:
        told = {**row, "reasoning": f"a {row['video_id'].split('-')[1]} square moves"}
        if row["pair_id"] == "q-train-red-left:train-red-left":
            told["reasoning"] = None
        if row["pair_id"] == "q-train-red-right:train-red-right":
            told["logit_margin"] = -4.0
        pairs.append((split, told))
    return replace(blocks, tables={**blocks.tables, "pairs": pairs})


def test_reasons_are_read_where_the_label_is_what_the_teacher_said(reasoned: Any) -> None:
    given = read_ranking(reasoned, "raw", 2, rationales=True)
    groups = {group.group_id: group for group in given.examples}
    none, overruled, whole = (groups[f"t-q-train-{name}"] for name in ("red-left", "red-right", "green-left"))
    assert none.positive.reasoning is None and none.negatives[0].reasoning is not None
    assert overruled.positive.reasoning is None and overruled.positive.soft is None
    assert whole.positive.reasoning == "a green square moves"
    sides = [side for block in whole.blocks for side in (block.answered, block.unanswered)]
    assert sides and all(side.reasoning for side in sides), "sides of blocks have reasons of their own pairs"


def test_a_training_without_the_term_has_the_name_that_it_had(reasoned: Any, blocks: Any) -> None:
    off, on = TrainSettings(), ON
    without, read = read_ranking(reasoned, "raw", 2), read_ranking(reasoned, "raw", 2, rationales=True)
    assert named_data(read, off) == named_data(without, off)
    assert "reasoning" not in str(named_data(without, off)) and "rationale" not in str(named_settings(without, off))
    assert named_data(read, on) != named_data(without, off)
    assert named_settings(read, on)["ranking"]["loss"]["rationale"] == 0.5


@pytest.mark.torch
def test_only_the_reasoning_and_its_end_have_labels(reasoned: Any, tiny: str) -> None:
    from transformers import AutoProcessor

    from hardcut.reranker.clips import stand_in
    from hardcut.reranker.rationales import IGNORED, learned, rationale_inputs
    from hardcut.teacher.local.pair_prompt import add_pair_template

    processor = AutoProcessor.from_pretrained(tiny)
    add_pair_template(processor)
    tokenizer = processor.tokenizer
    end = tokenizer.eos_token
    asked = [
        ("a red square", stand_in(), f"a red square moves left. {end}"),
        ("a blue square moves right", (stand_in(), stand_in()), "no"),
        ("a red square", stand_in(), None),
    ]
    inputs = rationale_inputs(processor, asked, 64)
    texts = [tokenizer.decode([int(id) for id in row if id != IGNORED]) for row in inputs["labels"]]
    assert texts[0] == f"a red square moves left. < {end[1:]}{end}", "the text has no control token"
    assert texts[1] == f"no{end}" and texts[2] == ""
    assert learned(inputs) == float((inputs["labels"] != IGNORED).sum()) > 5
    before = tokenizer.decode([int(id) for id in inputs["input_ids"][0][inputs["labels"][0] == IGNORED]])
    assert before.endswith("<|im_start|>assistant\n") and "<answer>" not in before
    cut = rationale_inputs(processor, asked[:1], 3)
    assert learned(cut) == 4, "three tokens and the end"


@pytest.mark.torch
def test_the_loss_is_a_mean_over_the_tokens_of_the_whole_step(reasoned: Any, tiny: str) -> None:
    """As transformers' own next-token loss over each row by itself has it."""
    import torch

    from hardcut.reranker.model import open_reranker
    from hardcut.reranker.rationales import IGNORED, learned, rationale_inputs, rationale_loss
    from hardcut.reranker.trainers import RATIONALES, GroupCollator

    reranker = open_reranker(tiny, None, ON)
    reranker.network.eval()
    groups = read_ranking(reasoned, "raw", 2, rationales=True).examples[:3]
    batch = GroupCollator(reranker.processor, reasoned.clips, 4, True, 64)(groups)
    inputs = batch[RATIONALES]
    reasons = [each.reasoning for group in groups for each in group.candidates]
    others = [set(group.sides) - {group.query} for group in groups]  # each side has a reason here
    expected = sum(map(bool, reasons)) + sum(map(len, others))
    assert len(inputs["labels"]) == expected > 9
    with torch.no_grad():
        found = float(rationale_loss(reranker.network, inputs, 1000.0)) * 1000.0
        logits = reranker.network(**{name: value for name, value in inputs.items() if name != "labels"}).logits
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].transpose(1, 2), inputs["labels"][:, 1:], ignore_index=IGNORED, reduction="none"
        )
        assert found == pytest.approx(float(losses.sum()), rel=1e-5)
        none = rationale_inputs(reranker.processor, [(groups[0].query, _clip(reasoned, groups[0]), None)], 64)
        assert learned(none) == 0 and float(rationale_loss(reranker.network, none, 0.0)) == 0.0
    assert RATIONALES not in GroupCollator(reranker.processor, reasoned.clips, 4)(groups), "without the term: no pass"


def _clip(world: Any, group: Any) -> Any:
    return world.clips.read(group.positive.video, 4)


@pytest.mark.torch
@pytest.mark.timeout(600)
def test_a_training_learns_to_write_the_reasons(reasoned: Any, tiny: str, tmp_path: Path) -> None:
    from hardcut.reranker.training import TrainJob, train

    stage = RankingSettings(
        frames=2, groups=4, accumulate=1, epochs=8, learning_rate=5e-3, loss=LossSettings(rationale=1.0)
    )
    settings = TrainSettings(method="full", ranking=stage, save_steps=100)
    done = train(reasoned, TrainJob("ranking", tiny, tmp_path / "out", reasoned.clips, settings))
    losses = [entry["loss_rationale"] for entry in done.log if "loss" in entry]
    assert done.steps == 16 and losses[-1] < 0.7 * losses[0], losses
