"""Which pairs people compare, what they are shown of them, and what their answers do to labels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hardcut.annotate.comparing import (
    Couple,
    asked_of,
    choose_couples,
    compared_content,
    couple_id,
    read_comparison,
    read_couple,
)
from hardcut.annotate.policy import ReviewCandidate
from hardcut.annotate.responses import Response
from hardcut.annotate.review_content import PreviewLinks, ReviewSubject, encode
from hardcut.schemas.comparisons import Better, Comparison, Side, agreed_orders, applies, contradictions
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Facet, Pair, Query, Span, TeacherLabel, TeacherRef, Video
from hardcut.schemas.reviews import query_digest
from hardcut.schemas.settings import ReviewSettings

TEACHER = TeacherRef(backend="test", model="m")
LINKS = (PreviewLinks("/m/l.mp4", "/m/l.jpg"), PreviewLinks("/m/r.mp4", "/m/r.jpg"))


def query_of(text: str, **fields: object) -> Query:
    return Query.create(text=text, view="all", kind="event", **fields)


def candidate(query: Query, video_id: str, margin: float, known: bool = False) -> ReviewCandidate:
    pair = Pair.create(query_id=query.query_id, video_id=video_id, origins=("mined",), expected="unknown")
    names = {"pair_id": pair.pair_id, "query_id": query.query_id, "video_id": video_id, "teacher": TEACHER}
    label = TeacherLabel.create(**names, verdict="yes" if margin > 0 else "no", logit_margin=margin)
    return ReviewCandidate(pair, query, (label,), known=known)


def subject(query: Query, video_id: str, sha256: str = "0" * 64) -> ReviewSubject:
    video = Video(
        video_id=video_id, path=f"{video_id}.mp4", sha256=sha256, size_bytes=1, duration_s=9, fps=25, width=8, height=8,
        codec="h264", video_streams=1, has_audio=True, complete=True, metadata={"title": "a secret"},
    )  # fmt: skip
    pair = Pair.create(query_id=query.query_id, video_id=video_id, origins=("mined",), expected="no")
    return ReviewSubject(pair, query, video, (), ())


def chosen(candidates: list[ReviewCandidate], budget: int, **more: object) -> list[frozenset[str]]:
    """The videos of each couple, in order."""
    videos = {each.pair.pair_id: each.pair.video_id for each in candidates}
    settings = ReviewSettings(pairwise=budget)
    found = choose_couples(candidates, more.get("contents", {}), more.get("compared", ()), settings)  # type: ignore[arg-type]
    return [frozenset(videos[id] for id in couple.ids) for couple in found]


def test_two_people_compare_neighbours_about_the_threshold_first() -> None:
    query = query_of("a door opens")
    margins = {"a": -9.0, "b": -8.0, "c": -1.5, "d": -0.5, "e": 1.5, "f": 9.0}
    some = [candidate(query, video, margin) for video, margin in margins.items()]
    assert chosen(some, 100) == [frozenset("de"), frozenset("cd"), frozenset("bc"), frozenset("ef")]
    assert chosen(some, 3) == chosen(some, 2) == [frozenset("de")], "two answers each"
    assert chosen(some, 1) == chosen(some, 0) == []


def test_every_query_has_one_couple_before_any_has_its_second() -> None:
    queries = [query_of(f"query {number}") for number in range(5)]
    some = [
        candidate(query, video, margin) for query in queries for video, margin in (("a", -1.0), ("b", 0.5), ("c", 0.6))
    ]
    by_pair = {each.pair.pair_id: each.query.query_id for each in some}
    couples = choose_couples(some, {}, (), ReviewSettings(pairwise=10))
    assert len({by_pair[couple.left] for couple in couples}) == len(couples) == 5
    assert all(by_pair[couple.left] == by_pair[couple.right] for couple in couples)


def test_what_has_no_order_is_not_asked() -> None:
    query = query_of("a door opens")
    assert chosen([candidate(query, "a", 0.5), candidate(query, "b", 0.5)], 10) == [], "equal margins"
    two = [candidate(query, "a", -0.5), candidate(query, "b", 0.5)]
    assert chosen(two, 10, contents={"a": "same", "b": "same"}) == [], "one file"
    assert chosen([two[0], candidate(query, "b", 0.5, known=True)], 10) == [], "known by the user's own judgments"


def test_what_was_compared_keeps_its_place_when_margins_change() -> None:
    query, other = query_of("a door opens"), query_of("a door closes")
    before = [candidate(query, "a", -0.5), candidate(query, "b", 0.5), candidate(query, "c", 5.0)]
    [couple] = choose_couples(before, {}, (), ReviewSettings(pairwise=2))
    after = [candidate(query, "a", -9.0), candidate(query, "b", 0.5), candidate(query, "c", 9.0)]
    after += [candidate(other, "a", -0.1), candidate(other, "b", 0.1)]
    assert choose_couples(after, {}, [couple], ReviewSettings(pairwise=2)) == [couple]
    assert len(choose_couples(after, {}, [couple], ReviewSettings(pairwise=4))) == 2


def test_left_and_right_hang_on_a_digest_and_not_on_margins() -> None:
    query = query_of("a door opens")
    left = [Couple.of(f"p_{n}", f"p_{n + 1}").left == f"p_{n}" for n in range(400)]
    assert 150 < sum(left) < 250
    assert Couple.of("p_1", "p_2") == Couple.of("p_2", "p_1")
    above = [candidate(query, "a", -0.5), candidate(query, "b", 0.5)]
    below = [candidate(query, "a", 0.5), candidate(query, "b", -0.5)]
    told = ReviewSettings(pairwise=2)
    assert choose_couples(above, {}, (), told) == choose_couples(below, {}, (), told)


def test_a_page_shows_the_query_and_two_videos_and_nothing_else() -> None:
    facets = (Facet(text="the door", modality="visual", span=Span(start=3, end=5)),)
    plain, written = query_of("a door opens"), query_of("a door opens", facets=facets, source_video_id="v1")
    pages = {
        encode(compared_content(subject(query, "v1"), replace(subject(query, "v2"), pair=pair), LINKS))
        for query in (plain, written)
        for pair in (subject(query, "v2").pair, subject(query, "v2").pair.model_copy(update={"origins": ("source",)}))
    }
    assert len(pages) == 1 and not any(word in page for page in pages for word in ("secret", "v1", "the door"))
    shown = compared_content(subject(plain, "v1"), subject(plain, "v2"), LINKS)
    assert shown.keys() == {"query", "language", "reference", "sides"}
    assert [set(side) for side in shown["sides"]] == [{"clip", "sheet", "duration", "fps"}] * 2  # type: ignore[union-attr,arg-type]


def test_a_record_knows_words_and_files_so_another_file_makes_another_record() -> None:
    query = query_of("a door opens")
    asked = asked_of(subject(query, "v1"), subject(query, "v2"), "run")
    assert couple_id(asked) == couple_id(asked_of(subject(query, "v1"), subject(query, "v2"), "another run"))
    assert couple_id(asked) != couple_id(asked_of(subject(query, "v1", "1" * 64), subject(query, "v2"), "run"))
    found = read_comparison(
        read_couple(asked), Response("r", "u", "submitted", {"better": "right"}, 1_700_000_000.0), "ada", "record"
    )
    assert (found.better, found.given_at, found.record_id) == ("right", "2023-11-14T22:13:20+00:00", "record")
    assert (found.left.video_id, found.right.video_sha256) == ("v1", "0" * 64)
    contents = {"v1": "0" * 64, "v2": "0" * 64}
    assert applies(found, query, contents)
    assert not applies(found, query_of("a door closes"), contents) and not applies(found, None, contents)
    assert not applies(found, query, contents | {"v2": "1" * 64})
    with pytest.raises((KeyError, ValueError)):
        read_couple('{"pair_id": "p"}')


def said(better: Better | None, *people: str, status: str = "submitted") -> list[Comparison]:
    query = query_of("a door opens")
    sides = {side: Side(pair_id=f"p_{side}", video_id=side, video_sha256="0" * 64) for side in ("left", "right")}
    return [
        Comparison.create(
            query_id=query.query_id, query_digest=query_digest(query), reviewer=name, better=better, given_at="then",
            record_id="r", status=status, **sides,
        )
        for name in people
    ]  # fmt: skip


def label(side: str, grade: int, source: str = "teacher") -> Judgment:
    return Judgment.model_validate(
        {"pair_id": f"p_{side}", "query_id": "q", "video_id": side, "grade": grade, "source": source}
    )


def test_two_people_agree_and_one_does_not() -> None:
    assert agreed_orders(said("left", "ada")) == []
    assert agreed_orders([*said("left", "ada"), *said("right", "bob")]) == []
    assert agreed_orders([*said("left", "ada"), *said("left", "bob", status="discarded")]) == []
    [found] = agreed_orders([*said("left", "ada", "bob"), *said("right", "eve")])
    assert (found.said, found.people, found.of, found.order) == ("left", 2, 3, ("p_left", "p_right"))
    assert agreed_orders([*said("left", "ada", "bob"), *said("right", "eve", "dan")]) == []


@pytest.mark.parametrize(
    ("better", "left", "right", "undecided"),
    [
        ("left", 0, 2, {"p_left", "p_right"}),
        ("right", 2, 0, {"p_left", "p_right"}),
        ("left", 2, 0, set()),
        ("left", 2, 2, set()),
        ("left", 0, 0, set()),
        ("left", None, 2, set()),
        ("both", 2, 0, {"p_left", "p_right"}),
        ("both", 2, 2, set()),
        ("neither", 2, 0, {"p_left"}),
        ("neither", None, 2, {"p_right"}),
        ("neither", 0, 0, set()),
    ],
)
def test_labels_that_cannot_all_be_right_become_undecided(
    better: Better, left: int | None, right: int | None, undecided: set[str]
) -> None:
    given = {"left": left, "right": right}
    judgments = {f"p_{side}": label(side, grade) for side, grade in given.items() if grade is not None}
    assert contradictions(agreed_orders(said(better, "ada", "bob")), judgments).keys() == undecided


def test_only_labels_of_teachers_become_undecided() -> None:
    agreed = agreed_orders(said("left", "ada", "bob"))
    told = contradictions(agreed, {"p_left": label("left", 0), "p_right": label("right", 2, "human")})
    assert told == {"p_left": "2 of 2 people say that the left one answers better, of this pair (left) and p_right"}
    given = {"p_left": label("left", 0, "imported"), "p_right": label("right", 2, "adjudicated")}
    assert contradictions(agreed, given) == {}
    # in part beside a yes: the order of grades is what is contradicted
    assert contradictions(agreed, {"p_left": label("left", 1, "human"), "p_right": label("right", 2)}).keys() == {
        "p_right"
    }
