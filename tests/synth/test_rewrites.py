"""A reviewer's wording becomes a query of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hardcut.schemas.base import Record
from hardcut.schemas.jsonl import write_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Facet, Query
from hardcut.schemas.reviews import query_digest
from hardcut.synth.rewrites import MAX_CHARACTERS, RewriteStage

R = TypeVar("R", bound=Record)


class Queries:
    def __init__(self, *queries: Query) -> None:
        self._queries = {query.query_id: query for query in queries}

    def all(self, kind: type[R]) -> Iterator[R]:
        raise NotImplementedError

    def get(self, kind: type[R], id: str) -> R | None:
        found: Any = self._queries.get(id)
        return found  # type: ignore[no-any-return]


@pytest.fixture
def parent() -> Query:
    return Query.create(
        text="door thing", view="caption", kind="temporal", source_video_id="v1", language="en", external_id="7",
        facets=(Facet(text="the door", modality="visual"),),
    )  # fmt: skip


def review(query: Query, wording: str | None, **fields: object) -> Review:
    given = {"reviewer": "ada", "blind": True, "status": "submitted", "relevance": 2}
    names = {"pair_id": "p", "query_id": query.query_id, "video_id": "v", "query_digest": query_digest(query)}
    return Review.create(**{**names, **given, **fields}, rewritten_query=wording)


def made(tmp_path: Path, queries: Queries, *reviews: Review) -> tuple[list[Query], list[str]]:
    with (tmp_path / Review.FILE).open("w") as file:
        write_records(file, reviews)
    outputs = [output for _, output in RewriteStage(tmp_path / Review.FILE).run(queries)]
    records = [record for output in outputs for record in output.records if isinstance(record, Query)]
    return records, [drop.reason for output in outputs for drop in output.dropped]


def test_a_wording_becomes_a_query_with_its_parent(tmp_path: Path, parent: Query) -> None:
    (found,), _ = made(tmp_path, Queries(parent), review(parent, " a  door opens, then closes\n"))
    assert (found.text, found.variant, found.parent_query_id) == (
        "a door opens, then closes",
        "rewritten",
        parent.query_id,
    )
    assert (found.source_video_id, found.kind, found.facets, found.language) == ("v1", "temporal", parent.facets, "en")
    assert found.external_id is None, "the user's own judgments are of the user's own words"


def test_the_same_wording_makes_one_query(tmp_path: Path, parent: Query) -> None:
    other = parent.model_copy(update={"query_id": "q_other"})
    told = [review(parent, "a door opens"), review(parent, "a  door opens ", reviewer="ben")]
    told.append(review(other, "a door opens"))
    found, _ = made(tmp_path, Queries(parent, other), *told)
    assert [query.text for query in found] == ["a door opens"]


def test_what_makes_no_query(tmp_path: Path, parent: Query) -> None:
    told = [
        review(parent, None),
        review(parent, parent.text, reviewer="b"),
        review(parent, "a draft", reviewer="c", status="draft"),
        review(parent, "of another wording", reviewer="d", query_digest="0" * 64),
        review(parent, "x" * (MAX_CHARACTERS + 1), reviewer="e"),
        review(parent.model_copy(update={"query_id": "q_gone"}), "of a query that is gone", reviewer="f"),
    ]
    found, dropped = made(tmp_path, Queries(parent), *told)
    assert found == [] and dropped == ["too_long"]
    assert list(RewriteStage(tmp_path / "nothing.jsonl").run(Queries(parent))) == []


def test_a_counterfactuals_wording_has_no_source(tmp_path: Path, parent: Query) -> None:
    negated = parent.model_copy(update={"variant": "negated"})
    (found,), _ = made(tmp_path, Queries(negated), review(negated, "a door stays shut"))
    assert found.source_video_id is None
