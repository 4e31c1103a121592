"""What a stage is given of a dataset: no torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from hardcut.reranker.examples import COMPOSED_QUERY, HALF_BLOCK, UNKNOWN_QUERY, Block, ClipRef, Group, Question
from hardcut.reranker.training_data import read_perception, read_ranking
from hardcut.schemas.logistic import sigmoid


class Captions:
    """A dataset of these captions: (split, video, caption's id, long, short)."""

    configs = ("captions",)

    def __init__(
        self, *rows: tuple[str, str, str, str, str | None], claims: dict[str, list[dict[str, Any]]] | None = None
    ) -> None:
        self._rows = rows
        self._claims = claims or {}

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        assert config == "captions"
        for split, video, caption_id, text, short in self._rows:
            file = {"video_id": video, "video_path": f"{video}.mp4", "sha256": video}
            claims = self._claims.get(caption_id, [])
            yield split, {**file, "caption_id": caption_id, "caption": text, "short": short, "claims": claims}


def test_every_caption_of_a_video_is_learned_long_and_short() -> None:
    given = read_perception(
        Captions(
            ("train", "b", "c3", "A door opens. A man leaves.", None),
            ("train", "a", "c2", "A dog runs left.", "A dog."),
            ("validation", "v", "c4", "A bus stops.", "A bus."),
            ("train", "a", "c1", "A dog runs. It barks.", "A dog barks."),
            ("test", "t", "c5", "Rain falls.", "Rain."),
        )
    )
    assert [(each.video.video_id, each.caption) for each in given.examples] == [
        ("a", "A dog runs. It barks."),
        ("a", "A dog barks."),
        ("a", "A dog runs left."),
        ("a", "A dog."),
        ("b", "A door opens. A man leaves."),
    ]
    assert [each.caption for each in given.validation] == ["A bus stops.", "A bus."]


def test_what_the_model_cannot_see_is_not_learned() -> None:
    def claim(text: str, *evidence: str) -> dict[str, Any]:
        return {"text": text, "span": None, "evidence": list(evidence)}

    seen = [claim("A dog runs", "motion"), claim("It is called Rex", "metadata"), claim("A dog barks", "speech", "ocr")]
    heard = [claim("Someone says good morning", "speech")]
    tables = Captions(
        ("train", "a", "c1", "A dog runs. It is called Rex. A dog barks.", "Rex runs."),
        ("train", "b", "c2", "Someone says good morning.", None),
        ("train", "c", "c3", "A cat sleeps.", "A cat."),
        claims={"c1": seen, "c2": heard, "c3": [claim("A cat sleeps")]},
    )
    given = read_perception(tables, ("metadata", "speech"))
    assert [each.caption for each in given.examples] == ["A dog runs. A dog barks.", "A cat sleeps.", "A cat."]
    assert [(each.item, each.reason) for each in given.left_out] == [("c1", "unseen_claims"), ("c2", "unseen_claims")]
    assert len(read_perception(tables).examples) == 5, "a model that hears may learn all"


class Groups:
    """A dataset of one training group, the query `own` on the video `v`, with these counterfactuals: (query's id, is it
    answered, the id of the other side)."""

    configs = ("queries", "pairs", "groups")

    def __init__(self, *listed: tuple[str, bool, str], queries: dict[str, str | None] | None = None) -> None:
        known = {"own": None, **{query: None for query, *_ in listed}} if queries is None else queries
        self._tables: dict[str, list[dict[str, Any]]] = {
            "queries": [{"query_id": query, "reference_video_id": start} for query, start in known.items()]
        }
        answered = {"own": True, **{query: yes for query, yes, _ in listed}}
        pairs = [_pair(query, "v", yes) for query, yes in answered.items()]
        negative = _pair("own", "w", answered=False)
        self._tables["pairs"] = [*pairs, negative]
        changes = [
            {"pair_id": f"{query}:v", "query_id": query, "query": query.upper(), "answered": yes, "against": against}
            for query, yes, against in listed
        ]
        group = {"group_id": "g", "query_id": "own", "query": "OWN", "positive": pairs[0], "negatives": [negative]}
        self._tables["groups"] = [{**group, "counterfactuals": changes}]

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from (("train", row) for row in self._tables[config])


def _pair(query: str, video: str, answered: bool) -> dict[str, Any]:
    margin = len(query) if answered else -len(query)
    return {
        "pair_id": f"{query}:{video}", "query_id": query, "query": query.upper(), "video_id": video,
        "video_path": f"{video}.mp4", "sha256": video, "label": int(answered), "p_calibrated": None,
        "logit_margin": float(margin), "exact": True,
    }  # fmt: skip


def _soft(query: str, answered: bool) -> float:
    return float(sigmoid(len(query) if answered else -len(query)))


def test_blocks_are_read_hardest_first_with_their_soft_labels() -> None:
    """The group's own query is a side of a block, or two counterfactuals are."""
    listed = [("there", True, "absent"), ("absent", False, "there"), ("reversed", False, "own")]
    (group,) = read_ranking(Groups(*listed), "raw", blocks=2).examples
    assert group.blocks == (
        Block(Question("THERE", _soft("there", True)), Question("ABSENT", _soft("absent", False))),
        Block(Question("OWN", _soft("own", True)), Question("REVERSED", _soft("reversed", False))),
    )
    assert group.questions == ("OWN", "THERE", "ABSENT", "REVERSED")
    assert [each.video.video_id for each in group.negatives] == ["w"], "never among the negatives"
    (one,) = read_ranking(Groups(*listed), "raw", blocks=1).examples
    assert one.blocks == group.blocks[:1] and one.questions == ("OWN", "THERE", "ABSENT")
    (none,) = read_ranking(Groups(*listed), "raw", blocks=0).examples
    assert not none.blocks and none.questions == ("OWN",)
    (alone,) = group_without("w", listed)
    assert alone.blocks == group.blocks and len(alone.negatives) == 1, "a missing negative takes no block along"


def group_without(video: str, listed: list[tuple[str, bool, str]]) -> tuple[Group, ...]:
    given = read_ranking(Groups(*listed), "raw", blocks=2)
    more = replace(given.examples[0].negatives[0], video=ClipRef("x", "x.mp4", "x"))
    group = replace(given.examples[0], negatives=(*given.examples[0].negatives, more))
    return replace(given, examples=(group,)).without({video: "no_file"}).examples


@pytest.mark.parametrize(
    ("listed", "queries", "expected"),
    [
        ([("absent", False, "there")], None, {"absent:v": HALF_BLOCK}),
        ([("there", True, "absent")], None, {"there:v": HALF_BLOCK}),
        ([("there", True, "own")], None, {"there:v": HALF_BLOCK}),
        (
            [("there", True, "absent"), ("absent", False, "there")],
            {"own": None, "there": None},
            {"absent:v": UNKNOWN_QUERY, "there:v": HALF_BLOCK},
        ),
        (
            [("there", True, "absent"), ("absent", False, "there")],
            {"own": None, "there": "v9", "absent": None},
            {"there:v": COMPOSED_QUERY, "absent:v": HALF_BLOCK},
        ),
    ],
)
def test_half_a_block_is_left_out_by_name(
    listed: list[tuple[str, bool, str]], queries: dict[str, str | None] | None, expected: dict[str, str]
) -> None:
    given = read_ranking(
        Groups(("reversed", False, "own"), *listed, queries=queries and {**queries, "reversed": None}), "raw", 9
    )
    assert {each.item: each.reason for each in given.left_out} == expected
    assert [each.unanswered.query for each in given.examples[0].blocks] == ["REVERSED"], "the other block stays"
    half = [each.detail for each in given.left_out if each.reason == HALF_BLOCK]
    assert all(detail.startswith("in the group g: the query ") for detail in half)
