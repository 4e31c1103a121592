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
    """Groups of queries by number, each with a video and with the same one turned round; `named` is in their ids."""

    configs = ("groups", "queries")

    def __init__(self, named: str, queries: range) -> None:
        self._named, self._queries = named, queries

    def rows(self, config: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for number in self._queries:
            split = "train" if number < 8 else "validation"
            ids = {"group_id": f"{self._named}{number}", "query_id": f"q{number}", "query": QUERY}
            yield split, {**ids, "positive": {"video_id": f"v{number}"}}


def test_groups_are_of_the_queries_and_positives_that_both_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the negatives are all that differs. None is of validation, and the order is the same in both."""
    monkeypatch.setattr(dense_negatives, "GROUPS", 4)
    both: Any = (Given("a", range(10)), Given("b", range(2, 12)))
    keys = dense_negatives.shared(both)
    drawn = [
        [(row["query_id"], row["positive"]["video_id"]) for _, row in dense_negatives.Shared(each, keys).rows("groups")]
        for each in both
    ]
    assert drawn == [keys, keys] and len(set(keys)) == 4
    assert {query for query, _ in keys} <= {f"q{number}" for number in range(2, 8)}
    assert len(list(dense_negatives.Shared(both[0], keys).rows("queries"))) == 8, "of all else the whole split"


def test_a_negative_has_a_part_where_one_half_is_asked_for() -> None:
    star, car = Half("blue", "star", "up"), Half("yellow", "car", "left")
    stories = {"part": Story((car, star)), "none": Story((car, car)), "other": Story((Half("red", "star"), car))}
    part = Part(stories, {}, {}, {}, {})
    groups = [
        {"query": QUERY, "negatives": [{"video_id": each} for each in ids]} for ids in (("part",), ("none", "other"))
    ]
    assert dense_negatives.with_a_part(part, groups) == round(1 / 3, 3)
