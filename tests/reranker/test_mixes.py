"""Several datasets that are trained on as one: whose ids stay apart, and whose weights are kept. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hardcut.data.bundled import sample_files
from hardcut.reranker.clips import Clips
from hardcut.reranker.examples import ClipRef, RankingData
from hardcut.reranker.mixes import Share, mixed
from hardcut.reranker.training_data import read_perception, read_ranking
from hardcut.schemas.errors import DropItem, ItemError, UsageError
from hardcut.schemas.settings import MediaSettings


def other(world: Any, change: Callable[[dict[str, Any]], Any]) -> Any:
    """A world of the same ids with other files and texts, after `change` of each row that names a file or a query."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(each) for each in value]
        if isinstance(value, dict):
            return change({name: changed(each) for name, each in value.items()})
        return value

    tables = {name: [(split, changed(row)) for split, row in rows] for name, rows in world.tables.items()}
    return replace(world, tables=tables)


def elsewhere(row: dict[str, Any]) -> dict[str, Any]:
    told = {"query": f"{row['query']} elsewhere"} if "query" in row else {}
    return {**row, **told, **({"sha256": f"other {row['sha256']}"} if "sha256" in row else {})}


def test_two_datasets_of_the_same_ids_are_read_as_each_alone(blocks: Any) -> None:
    second = other(blocks, elsewhere)
    whole = read_ranking(mixed([Share("one", blocks), Share("two", second)]), "raw", 2)
    alone = [read_ranking(each, "raw", 2) for each in (blocks, second)]
    assert whole.left_out == () and len(whole.examples) == 16
    assert {_content(group) for group in whole.examples} == {_content(g) for each in alone for g in each.examples}
    assert sorted(whole.validation.queries.values()) == sorted(
        text for each in alone for text in each.validation.queries.values()
    )
    assert len(whole.validation.pairs) == sum(len(each.validation.pairs) for each in alone)
    assert len(whole.validation.blocks) == sum(len(each.validation.blocks) for each in alone) > 0


def _content(group: Any) -> Any:
    pairs = tuple((each.video.sha256, each.soft, each.grade) for each in group.candidates)
    return group.query, pairs, group.blocks


def test_a_dataset_alone_is_what_it_was(world: Any) -> None:
    assert mixed([Share("one", world)]) is world


@pytest.mark.parametrize(("weight", "most", "least"), [(2.0, 2, 2), (0.5, 1, 0), (2.5, 3, 2)])
def test_an_epoch_has_an_example_as_often_as_its_dataset_weighs(
    world: Any, weight: float, most: int, least: int
) -> None:
    second = other(world, elsewhere)
    given = mixed([Share("one", world), Share("two", second, weight)])
    ranking, captions = read_ranking(given, "raw"), read_perception(given)
    times = [sum(group.query == f"{query} elsewhere" for group in ranking.examples) for query in _queries(world)]
    assert len(times) == 8 and {*times} == {most, least}
    assert len({group.group_id for group in ranking.examples}) == len(ranking.examples) == 8 + sum(times)
    assert read_ranking(given, "raw") == ranking, "it is drawn once and for all"
    of_second = sum(each.video.sha256.startswith("other") for each in captions.examples)
    assert 8 * least <= of_second <= 8 * most and len(captions.validation) == 16, "what is measured on has no weight"


def _queries(world: Any) -> list[str]:
    data: RankingData = read_ranking(world, "raw")
    return [group.query for group in data.examples]


def test_what_one_holds_out_the_other_does_not_train_on(world: Any) -> None:
    held_out = next(row["sha256"] for split, row in world.rows("pairs") if split == "validation")
    second = other(world, lambda row: {**row, "sha256": held_out} if row.get("video_id") == "train-red-left" else row)
    with pytest.raises(UsageError, match=r"two trains on 1 videos that one holds out, train-red-left.*--like one"):
        mixed([Share("one", world), Share("two", second)])


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_that_is_none_is_refused(world: Any, weight: float) -> None:
    with pytest.raises(UsageError, match="two: its weight is"):
        mixed([Share("one", world), Share("two", world, weight)])


def test_a_video_is_found_in_the_folder_of_its_own_dataset(tmp_path: Path) -> None:
    with sample_files() as sample:
        path = sample / "videos" / "signs" / "order-01-a.mp4"
        video = ClipRef("a", path.name, sha256(path.read_bytes()).hexdigest())
        (tmp_path / path.name).write_bytes(b"another file of the same name")
        with pytest.raises((ItemError, DropItem)):
            Clips(tmp_path, tmp_path / "frames", MediaSettings()).frames(video, 4)
        clips = Clips(tmp_path, tmp_path / "frames", MediaSettings(), (path.parent,))
        assert len(clips.frames(video, 4)) == 4 and clips.prepare([video]) == {}
        unknown = replace(video, path="../" + path.name, sha256="0" * 64)
        assert "leads out" in clips.prepare([unknown])["a"]
