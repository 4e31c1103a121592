"""How groups are drawn for the rerankers that are compared, and which of their negatives have a part of a query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import dense_negatives
from benchmarks.curriculum.stories import Half, Story
from benchmarks.curriculum.world import Part

QUERY = "a red ball and a blue star"


class Given:
    configs = ("groups", "queries")

    def rows(self, config: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for number in range(10):
            yield ("train" if number < 8 else "validation"), {"group_id": f"{number}", "query": QUERY}


def test_equally_many_groups_are_drawn_and_none_of_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense_negatives, "GROUPS", 5)
    some = dense_negatives.Equal(Given())  # type: ignore[arg-type]
    drawn = [row["group_id"] for _, row in some.rows("groups")]
    assert len(drawn) == 5 and {split for split, _ in some.rows("groups")} == {"train"}
    assert drawn == [row["group_id"] for _, row in some.rows("groups", ("group_id",))], "the same each time"
    assert len(list(some.rows("queries"))) == 8, "of all else the whole split"


def test_a_negative_has_a_part_where_one_half_is_asked_for() -> None:
    star, car = Half("blue", "star", "up"), Half("yellow", "car", "left")
    stories = {"part": Story((car, star)), "none": Story((car, car)), "other": Story((Half("red", "star"), car))}
    part = Part(stories, {}, {}, {}, {})
    groups = [
        {"query": QUERY, "negatives": [{"video_id": each} for each in ids]} for ids in (("part",), ("none", "other"))
    ]
    assert dense_negatives.with_a_part(part, groups) == round(1 / 3, 3)
