"""From answers to Reviews: what is typed is read or told, never made up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardcut.annotate.responses import Response, ShownPair, parse_moment, read_response
from hardcut.schemas.records import Span

SHOWN = ShownPair("p_1", "q_1", "v1", "0" * 64, "suspected", 2)


def answer(**values: Any) -> Response:
    return Response("r1", "u1", "submitted", values, 0.0)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("3-7.5", (3, 7.5)),
        (" 0:03 – 0:07 ", (3, 7)),
        ("0:03.2-0:07.9", (3.2, 7.9)),
        ("from 3 to 7 s", (3, 7)),
        ("1:00:02 - 1:00:05", (3602, 3605)),
        ("3,5-4", (3.5, 4)),
        ("2 .. 4", (2, 4)),
    ],
)
def test_moments(text: str, span: tuple[float, float]) -> None:
    assert parse_moment(text) == Span(start=span[0], end=span[1])


@pytest.mark.parametrize("text", ["", "at the end", "7-3", "3", "3-", "-1-2", "1e9-2e9", "3-7 and 9-11", "<b>3-7</b>"])
def test_what_is_no_moment(text: str) -> None:
    assert parse_moment(text) is None


@given(st.text(max_size=60))
def test_any_text_is_a_moment_or_none(text: str) -> None:
    found = parse_moment(text)
    assert found is None or found.start <= found.end


def test_all_of_an_answer() -> None:
    told = answer(
        relevance="in_part", moment="1-2", well_formed="no", rewrite="  a door closes ", flags=["unsafe", "ambiguous"]
    )
    found, unread = read_response(SHOWN, told, "ada", "assisted", 4.25)
    assert unread is None
    assert (found.relevance, found.suggested, found.changed, found.blind) == (1, 2, True, False)
    assert (found.well_formed, found.rewritten_query, found.flags) == (False, "a door closes", ("ambiguous", "unsafe"))
    assert (found.span, found.seconds, found.stratum) == (Span(start=1, end=2), 4.25, "suspected")


def test_a_language_is_a_tag_or_told() -> None:
    found, unread = read_response(SHOWN, answer(relevance="answers", language=" PT_br "), "ada", "blind", None)
    assert (found.language, unread) == ("pt-br", None)
    found, unread = read_response(SHOWN, answer(relevance="answers", language="German"), "ada", "blind", None)
    assert found.language is None and unread is not None and "'German'" in unread


def test_an_expert_is_one_where_conflicts_are_settled() -> None:
    told = answer(relevance="answers")
    found = {
        name: read_response(SHOWN, told, "ada", name, None, ("ada",))[0].expert for name in ("blind", "adjudication")
    }
    assert found == {"blind": False, "adjudication": True}
    assert not read_response(SHOWN, told, "bob", "adjudication", None, ("ada",))[0].expert


def test_a_blind_answer_knows_no_suggestion() -> None:
    found, _ = read_response(SHOWN, answer(relevance="answers"), "ada", "blind", None)
    assert (found.blind, found.suggested, found.changed, found.adjudicates) == (True, None, None, False)


def test_what_cannot_be_read_is_told_and_costs_only_itself() -> None:
    found, unread = read_response(SHOWN, answer(relevance="answers", moment="the end", flags="x"), "ada", "blind", None)
    assert found.relevance == 2 and found.span is None and found.flags == ()
    assert unread is not None and "p_1" in unread and "'the end'" in unread


def test_a_draft_without_an_answer() -> None:
    found, _ = read_response(SHOWN, Response("r", None, "draft", {}, 0.0), "ada", "adjudication", None)
    assert (found.relevance, found.status, found.adjudicates) == (None, "draft", True)
