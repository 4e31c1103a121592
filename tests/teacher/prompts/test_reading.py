"""Nothing that is whole in a reply is lost, and nothing that is not is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hardcut.teacher.prompts.reading import read_reply
from hardcut.teacher.prompts.reply_models import CaptionReply, CheckReply, ComposeReply, QueriesReply

QUERY = {
    "text": "a door opens",
    "language": "en",
    "view": "caption",
    "kind": "event",
    "style": "plain",
    "facets": [{"text": "a door", "modality": "visual", "start": 1.0, "end": 2.0}],
}
CLAIM = {"text": "A door opens.", "start": 1.0, "end": 2.0, "evidence": ["e_1"]}


def queries(*changes: dict[str, Any]) -> str:
    return json.dumps({"queries": [{**QUERY, "text": f"query {at}", **each} for at, each in enumerate(changes)]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"language": "en_US"},
        {"facets": [{"text": " ", "modality": "visual", "start": 1.0, "end": 2.0}]},
        {"facets": [{"text": "x", "modality": "audio", "start": 1.0, "end": 2.0}]},
    ],
)
def test_one_wrong_query_does_not_cost_the_others(wrong: dict[str, Any]) -> None:
    read = read_reply(QueriesReply, queries({}, {}, {}, {}, wrong))
    assert isinstance(read.parsed, QueriesReply)
    assert [query.text for query in read.parsed.queries] == [f"query {at}" for at in range(4)]
    [left_out] = read.left_out
    assert left_out.reason == "invalid_item" and "query 4" in left_out.detail


def test_a_facet_that_does_not_fit_does_not_cost_its_query() -> None:
    """What a small model writes in one of many: an end before the start, an empty text, an unknown modality."""
    facet = {"text": "a hand", "modality": "visual", "start": 1.0, "end": 2.0}
    wrong = [{**facet, "start": 5.9, "end": 2.9}, {**facet, "text": ""}, {**facet, "modality": "smell"}]
    read = read_reply(QueriesReply, queries({}, {"facets": [facet, *wrong]}))
    assert isinstance(read.parsed, QueriesReply) and len(read.parsed.queries) == 2
    whole, turned = read.parsed.queries[1].facets
    assert (whole.start, whole.end) == (1.0, 2.0) and (turned.text, turned.start, turned.end) == ("a hand", None, None)
    [left_out] = read.left_out
    assert "kept with what of it fits" in left_out.detail and "facets.1" in left_out.detail


@pytest.mark.parametrize("before", ["", "Here is the JSON:\n", "Of {x} and {y}: ", "<think>{no}</think>\n"])
@pytest.mark.parametrize("after", ["", "\nI hope this helps {smile}"])
def test_json_is_found_in_prose(before: str, after: str) -> None:
    read = read_reply(QueriesReply, before + queries({}) + after)
    assert isinstance(read.parsed, QueriesReply) and len(read.parsed.queries) == 1 and not read.left_out


def test_of_a_reply_cut_anywhere_the_whole_items_are_kept() -> None:
    text = json.dumps(
        {"short": 'A "door" {opens}.', "claims": [{**CLAIM, "text": f"Claim ] }} \\ {at}"} for at in range(4)]}
    )
    ends = [at + 1 for at in range(len(text)) if text[: at + 1].endswith('["e_1"]}')]
    for cut in range(len(text)):
        read = read_reply(CaptionReply, text[:cut], cut=True)
        whole = sum(end <= cut for end in ends)
        if not whole:
            assert read.parsed is None, text[:cut]
        else:
            assert isinstance(read.parsed, CaptionReply) and len(read.parsed.claims) == whole, text[:cut]
            assert [each.reason for each in read.left_out] == ["cut_off"]


def test_a_claim_whose_times_are_wrong_is_kept_without_them() -> None:
    text = json.dumps({"short": "A door.", "claims": [{**CLAIM, "start": 9.0}]})
    read = read_reply(CaptionReply, text)
    assert isinstance(read.parsed, CaptionReply) and read.parsed.claims[0].start is None
    assert "without its times" in read.left_out[0].detail


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (QueriesReply, queries({"kind": "none"})),
        (QueriesReply, '{"something": "else"}'),
        (CheckReply, "I cannot help with that."),
        (CheckReply, '{"claims": [{"number": 1, "problem": "", "supp'),
        (ComposeReply, '{"text": "a door", "language": "en"}'),
        (CheckReply, "{" * 5000),
    ],
)
def test_a_reply_without_anything_whole_is_none(model: Any, text: str) -> None:
    read = read_reply(model, text)
    assert read.parsed is None and read.problem


def in_capitals(value: Any) -> str:
    choices = {"view": "Caption", "kind": "Multi-Hop", "style": " PLAIN "}
    return json.dumps({"queries": [{**each, **choices} for each in value["queries"]]})


def without_nulls(value: Any) -> str:
    facets = [{"text": "a door", "modality": "visual"}]
    return json.dumps({"queries": [{**each, "facets": facets, "denies": None} for each in value["queries"]]})


FORMS: dict[str, Any] = {
    "commas before brackets": lambda value: json.dumps(value).replace("}", ",}").replace("]", " ,\n]"),
    "fields of its own": lambda value: json.dumps(
        {"queries": [{**each, "id": 1} for each in value["queries"]], "note": "done"}
    ),
    "in another object": lambda value: json.dumps({"status": "ok", "result": value}),
    "one in place of a list": lambda value: json.dumps({"queries": {**QUERY, "facets": QUERY["facets"][0]}}),
    "choices in other letters": in_capitals,
    "nulls left out": without_nulls,
    "half a surrogate pair": lambda value: json.dumps(value).replace("a door opens", "a door \\ud83dopens"),
    "a broken line in a text": lambda value: json.dumps(value).replace("a door opens", "a door\nopens"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_off_by_its_form_alone_is_read_as_it_is_meant(form: str) -> None:
    """As servers give it that hold a model to no schema: each cost a whole video."""
    read = read_reply(QueriesReply, f"Of course, here's it:\n{FORMS[form]({'queries': [QUERY]})}")
    assert isinstance(read.parsed, QueriesReply) and not read.left_out
    [query] = read.parsed.queries
    assert query.text.split() == ["a", "door", "opens"] and query.denies == ()
    assert (query.view, query.style) == ("caption", "plain")
    assert query.kind == ("multi_hop" if form == "choices in other letters" else "event")
    [facet] = query.facets
    timed = form != "nulls left out"
    assert (facet.text, facet.start, facet.end) == ("a door", 1.0 if timed else None, 2.0 if timed else None)
    read.parsed.model_dump_json()


def test_commas_and_brackets_inside_of_a_text_stay() -> None:
    text = 'He says: "a, ], b,}" \\'
    read = read_reply(QueriesReply, queries({"text": text})[:-1] + ",}")
    assert isinstance(read.parsed, QueriesReply) and read.parsed.queries[0].text == text


def test_a_choice_that_is_none_is_not_guessed() -> None:
    assert read_reply(QueriesReply, queries({"kind": "Evening"})).parsed is None


def test_a_claim_that_names_one_piece_of_evidence_cites_it() -> None:
    read = read_reply(CaptionReply, json.dumps({"short": "A door.", "claims": [{**CLAIM, "evidence": "e_1"}]}))
    assert isinstance(read.parsed, CaptionReply) and read.parsed.claims[0].evidence == ("e_1",)


def test_a_verdict_without_a_problem_counts() -> None:
    read = read_reply(CheckReply, '{"claims": [{"number": 1, "supported": true}, {"number": 2, "supported": "maybe"}]}')
    assert isinstance(read.parsed, CheckReply) and [each.number for each in read.parsed.claims] == [1]
    assert [each.reason for each in read.left_out] == ["invalid_item"]


def test_thoughts_that_do_not_end_are_no_reply() -> None:
    """`{"queries": []}` in them would say that the video has nothing to ask about."""
    read = read_reply(QueriesReply, '<think>Perhaps {"queries": []}, or', cut=True)
    assert read.parsed is None and read.problem == "the reply has thoughts alone"


def test_a_reply_of_no_queries_is_one() -> None:
    assert read_reply(QueriesReply, '{"queries": []}').parsed == QueriesReply(queries=())


@pytest.mark.parametrize("wrap", ["[{}]", "{}", "1. {}", "```json\n[{}\n", '{{"found": 1}} {} {{"text": "x'])
def test_items_without_the_object_around_them_are_kept(wrap: str) -> None:
    """As models write them that no grammar holds."""
    items = ",\n".join(json.dumps({**QUERY, "text": f"query {at}"}) for at in range(3))
    read = read_reply(QueriesReply, wrap.format(items))
    assert isinstance(read.parsed, QueriesReply)
    assert [query.text for query in read.parsed.queries] == ["query 0", "query 1", "query 2"] and read.left_out
    assert read_reply(CaptionReply, json.dumps([CLAIM])).parsed is None, "a caption needs its short one too"
