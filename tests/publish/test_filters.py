"""Filters that need verdicts, through the stage that applies them: what each leaves out, what it spares, its switch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hardcut.publish.judgments import JudgmentStage
from hardcut.schemas.base import Record
from hardcut.schemas.guards import FILTERS
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Pair, Query
from hardcut.schemas.settings import FilterSettings, JudgmentSettings

R = TypeVar("R", bound=Record)
OTHERS = tuple(f"v{number}" for number in range(2, 8))


class Records:
    """Records in memory, sorted by id."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = sorted(records, key=lambda record: record.id)

    def all(self, kind: type[R]) -> Iterator[R]:
        return (record for record in self._records if isinstance(record, kind))

    def get(self, kind: type[R], id: str) -> R | None:
        return next((record for record in self.all(kind) if record.id == id), None)

    def about(self, kind: type[R], subject: str) -> list[R]:
        return [record for record in self.all(kind) if record.about == subject]


class Judged:
    """A query with its pairs and what a judge said of each: with the video, and by metadata alone (None: not asked)."""

    def __init__(self, make: Any, query: Query, seen: dict[str, str], blind: dict[str, str]) -> None:
        self.query = query
        self.pairs: dict[str, Pair] = {video: make.pair(query, video) for video in seen}
        labels = [
            make.label(self.pairs[video], said, 5.0 if said == "yes" else -7.0, input=input)
            for input, told in (("full", seen), ("text_only", blind))
            for video, said in told.items()
        ]
        self.records = [query, *self.pairs.values(), *labels]

    def outcomes(self, filters: FilterSettings, reviews: Path | None = None) -> dict[str, Any]:
        """The grade or the reason of each pair, by video."""
        stage = JudgmentStage(JudgmentSettings(), filters, None, reviews)
        found = dict(stage.run(Records(self.records)))
        assert found.keys() == {pair.pair_id for pair in self.pairs.values()}, "each pair ends in one way"
        told: dict[str, Any] = {}
        for video, pair in self.pairs.items():
            output = found[pair.pair_id]
            [record] = output.records or [output.drop]
            told[video] = record.grade if isinstance(record, Judgment) else record.reason
        return told


def test_a_query_that_too_many_videos_answer_is_left_out(make: Any, tmp_path: Path) -> None:
    query = make.query("a ball rolls left", "v1")
    seen = {"v1": "yes", **dict.fromkeys(OTHERS[:3], "yes"), **dict.fromkeys(OTHERS[3:], "no")}
    judged = Judged(make, query, seen, {})
    kept = judged.outcomes(FilterSettings(max_answers=3))
    assert (kept["v1"], kept["v2"], kept["v7"]) == (2, "uncertain_positive", 0), "three more may"
    out = judged.outcomes(FilterSettings(max_answers=2))
    assert {video: out[video] for video in ("v1", "v5", "v6", "v7")} == dict.fromkeys(
        ("v1", "v5", "v6", "v7"), "unspecific"
    )
    assert out["v2"] == "uncertain_positive", "what was left out before keeps its reason"
    assert judged.outcomes(FilterSettings(max_answers=2, unspecific=False)) == kept
    reviews = tmp_path / "reviews.jsonl"
    with reviews.open("w") as file:
        write_records(file, [make.review(judged.pairs["v5"], query, 0)])
    spared = judged.outcomes(FilterSettings(max_answers=2), reviews)
    assert (spared["v5"], spared["v6"]) == (0, "unspecific"), "what people said is never filtered"


@pytest.mark.parametrize(
    ("blind", "view", "left_out"),
    [
        ({"v1": "yes", "v2": "no", "v3": "no", "v4": "no"}, "caption", True),
        ({"v1": "yes", "v2": "no", "v3": "no", "v4": "no"}, "metadata", False),
        ({"v1": "yes", "v2": "no", "v3": "no"}, "caption", False),
        ({"v1": "yes", "v2": "no", "v3": "no", "v4": "no", "v5": "yes"}, "caption", False),
        ({"v1": "no", "v2": "no", "v3": "no", "v4": "no"}, "caption", False),
        ({"v2": "no", "v3": "no", "v4": "no"}, "caption", False),
    ],
    ids=["solved", "of that view", "too few asked", "one wrong", "source denied", "source not asked"],
)
def test_a_query_that_metadata_alone_solves_is_left_out(
    make: Any, blind: dict[str, str], view: str, left_out: bool
) -> None:
    query = make.query("a ball rolls left", "v1", view=view)
    judged = Judged(make, query, {"v1": "yes", **dict.fromkeys(OTHERS, "no")}, blind)
    off = judged.outcomes(FilterSettings(without_watching=False))
    assert off == {"v1": 2, **dict.fromkeys(OTHERS, 0)}
    on = judged.outcomes(FilterSettings())
    assert on == (dict.fromkeys(on, "without_watching") if left_out else off)


def test_queries_that_nobody_wrote_for_a_video_are_not_filtered(make: Any) -> None:
    """The user's own may be as broad as they like; a counterfactual is to be answered by nothing."""
    user = make.query("a ball")
    negated = make.query("no ball rolls left", "v1", variant="negated", parent_query_id="q_1")
    for query in (user, negated):
        seen = dict.fromkeys(("v1", *OTHERS), "yes" if query is user else "no")
        blind = {"v1": "yes", "v2": "no", "v3": "no", "v4": "no"}
        found = Judged(make, query, seen, blind).outcomes(FilterSettings(max_answers=0))
        assert not {"unspecific", "without_watching"} & set(found.values())


def test_a_denied_source_is_left_out_or_the_writer_is_believed(make: Any) -> None:
    judged = Judged(make, make.query("a ball rolls left", "v1"), {"v1": "no", "v2": "no"}, {})
    assert judged.outcomes(FilterSettings()) == {"v1": "misjudged_source", "v2": 0}
    assert judged.outcomes(FilterSettings(misjudged_source=False)) == {"v1": 2, "v2": 0}


def test_every_switch_has_a_name_that_the_report_explains() -> None:
    switches = set(FilterSettings.model_fields) - {"max_answers"}
    assert switches <= FILTERS.keys()
    assert FILTERS.keys() - switches == {"positive_below_depth", "negative_outscores_positive"}, "set by negatives.*"
