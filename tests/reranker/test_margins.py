"""Margins of one teacher that was shown pairs in two ways are told, and where they are compared, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardcut.reranker.margins import mixing, refuse_compared
from hardcut.reranker.naming import named_data
from hardcut.reranker.training_data import read_ranking
from hardcut.schemas.errors import UsageError
from hardcut.schemas.training import LossSettings, TrainSettings

OLD, NEW = "aaaa (transformers 5.9.0)", "bbbb (transformers 5.24.0)"


def _shown(world: Any, *ways: str | None, teacher: str = "transformers:judge") -> Any:
    """The world's pairs, shown to a teacher in these ways in turn."""
    pairs = [
        (split, {**row, "teacher": teacher, "shown": ways[number % len(ways)]})
        for number, (split, row) in enumerate(world.tables["pairs"])
    ]
    return replace(world, tables={**world.tables, "pairs": pairs})


def test_two_ways_are_told_with_their_names_and_counts(world: Any) -> None:
    given = read_ranking(_shown(world, OLD, NEW), "raw")
    assert given.mixed is not None
    assert f"transformers:judge: 12 as {OLD}, 12 as {NEW}" in given.mixed
    assert set(given.mixed_groups) == {group.group_id for group in given.examples}, "each has three pairs, in turn"
    kept = given.without({given.examples[0].positive.video.video_id: "gone"})
    assert kept.mixed == given.mixed


@pytest.mark.parametrize(
    "ways",
    [(OLD,), (None,), (OLD, None), (OLD, "aaaa (transformers 5.10.0)")],
    ids=["one way", "nobody noted it", "of some it is not known", "the same by another version"],
)
def test_one_way_is_not_worth_a_word(ways: tuple[str | None, ...], world: Any) -> None:
    given = read_ranking(_shown(world, *ways), "raw")
    assert given.mixed is None and given.mixed_groups == ()


def test_two_teachers_are_shown_pairs_each_in_its_own_way(world: Any) -> None:
    one, other = _shown(world, OLD), _shown(world, NEW, teacher="transformers:another")
    half = len(one.tables["pairs"]) // 2
    pairs = [*one.tables["pairs"][:half], *other.tables["pairs"][half:]]
    assert read_ranking(replace(one, tables={**one.tables, "pairs": pairs}), "raw").mixed is None


def test_what_takes_differences_of_margins_is_refused_within_a_group() -> None:
    refuse_compared(["g1"], LossSettings())
    refuse_compared([], LossSettings(margin=1.0))
    for term in ("margin", "listwise"):
        with pytest.raises(UsageError, match=rf"1 groups, g1 for one.*loss\.{term} takes their differences"):
            refuse_compared(["g1"], LossSettings(**{term: 0.5}))


def test_what_is_said_of_margins_names_no_training(world: Any) -> None:
    """A training that went on before labels said how they were shown still goes on."""
    given = read_ranking(_shown(world, OLD, NEW), "raw")
    plain = read_ranking(world, "raw")
    assert named_data(given, TrainSettings()) == named_data(plain, TrainSettings())


@pytest.mark.torch
def test_a_training_says_it_and_refuses(world: Any, tiny: str, tmp_path: Path, capsys: Any) -> None:
    from hardcut.reranker.training import TrainJob, train
    from hardcut.schemas.training import LoraSettings, RankingSettings

    def job(name: str, **terms: float) -> Any:
        stage = RankingSettings(frames=2, groups=8, accumulate=1, epochs=1, loss=LossSettings(**terms))
        settings = TrainSettings(lora=LoraSettings(rank=2), ranking=stage)
        return TrainJob("ranking", tiny, tmp_path / name, world.clips, settings)

    with pytest.raises(UsageError, match="takes their differences"):
        train(_shown(world, OLD, NEW), job("refused", margin=1.0))
    assert train(_shown(world, OLD, NEW), job("told")).steps == 1
    said = capsys.readouterr().err
    assert "made in different ways" in said and OLD in said and NEW in said


def test_no_margins_no_word() -> None:
    from hardcut.reranker.margins import Margins

    assert mixing(Margins()) is None
