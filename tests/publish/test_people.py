"""What a dataset tells of the people behind its labels."""

from __future__ import annotations

from typing import Any

from hardcut.publish.people import answer_rows, pseudonyms


def test_each_answer_has_its_reason_and_nobody_a_name(make: Any) -> None:
    query = make.query("q", "v1")
    pair = make.pair(query, "v1")
    ada = make.review(pair, query, 2, reviewer="ada", stratum="audit")
    bob = make.review(pair, query, 0, reviewer="bob", stratum="audit")
    eve = make.review(pair, query, 2, reviewer="eve", stratum="conflict", adjudicates=True)
    names = pseudonyms([ada, bob, eve])
    assert names == pseudonyms([eve, ada, bob, ada]), "whatever the order of the file"
    assert set(names.values()) == {"reviewer-1", "reviewer-2", "reviewer-3"}
    rows = {row["reviewer"]: row for row in answer_rows([ada, bob, eve], names, [eve.review_id])}
    assert [*rows] == ["reviewer-1", "reviewer-2", "reviewer-3"]
    assert (rows[names["bob"]]["relevance"], rows[names["bob"]]["asked"], rows[names["bob"]]["decides"]) == (
        0,
        "audit",
        False,
    )
    assert (rows[names["eve"]]["asked"], rows[names["eve"]]["adjudicates"], rows[names["eve"]]["decides"]) == (
        "conflict", True, True,
    )  # fmt: skip


def test_the_order_of_numbers_is_not_that_of_names(make: Any) -> None:
    query = make.query("q", "v1")
    people = [f"person-{letter}" for letter in "abcdefgh"]
    reviews = [make.review(make.pair(query, "v1"), query, 2, reviewer=name) for name in people]
    names = pseudonyms(reviews)
    assert sorted(people, key=lambda name: names[name]) != people
