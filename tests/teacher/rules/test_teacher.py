"""The teacher without a model: true to the evidence, in order, deterministic, and quick."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Sampling
from hardcut.schemas.text.words import WordIndex, contains_phrase, words
from hardcut.teacher.prompts.inputs import (
    CaptionInputs,
    ComposeInputs,
    CounterfactualInputs,
    EvidenceLine,
    QueriesInputs,
)
from hardcut.teacher.prompts.reply_models import DecomposeReply, QueriesReply
from hardcut.teacher.protocol import Reply, Request
from hardcut.teacher.rules.antonyms import turned_in_time
from hardcut.teacher.rules.judge import EvidenceJudge, parse_query
from hardcut.teacher.rules.mentions import keywords
from hardcut.teacher.rules.rewriter import compose, write_counterfactuals
from hardcut.teacher.rules.teacher import EvidenceTeacher
from hardcut.teacher.rules.writer import write_caption, write_queries

Inputs = dict[str, dict[str, Any]]


def lines(evidence: list[dict[str, Any]]) -> list[EvidenceLine]:
    return [EvidenceLine.model_validate(line) for line in evidence]


def margin(evidence: list[dict[str, Any]], query: str, caption: str | None = None) -> float:
    return EvidenceJudge(lines(evidence), caption).judge(query).margin


def queries(inputs: Inputs, **changes: Any) -> QueriesReply:
    return write_queries(QueriesInputs.model_validate({**inputs["queries"], "view": None, **changes}))


def test_words_of_any_script() -> None:
    assert words("The Dog's CAFÉ, no. 9") == ["the", "dog", "cafe", "no", "9"]
    assert words("東京駅 Выход") == ["東", "京", "駅", "выход"]
    assert words("ｆｕｌｌ　ｗｉｄｔｈ") == ["full", "width"]


def test_small_reading_errors_are_forgiven_in_words_and_never_in_numbers() -> None:
    index = WordIndex(["Grnad Hotel 2023", "stop"])
    assert index.find("grand") == {0: WordIndex.FUZZY}
    assert index.find("hotel") == {0: WordIndex.EXACT}
    assert index.find("hotels") and index.find("h0tel") and not index.find("motive")
    assert not index.find("2024") and not index.find("shop")


def test_a_caption_follows_time_and_cites_every_claim(inputs: Inputs) -> None:
    reply = write_caption(CaptionInputs.model_validate(inputs["caption"]))
    told = [claim.text for claim in reply.claims]
    order = ("Grand Hotel", "follow me", "cuts at 9 s", "Platform 9", "Vienna", "Short Trip to Austria")
    assert [text in claim for text, claim in zip(order, told, strict=True)] == [True] * 6
    assert reply.short == 'The text "Grand Hotel" can be read; then someone says: "please follow me to the garden"'
    known = {line["id"]: line for line in inputs["caption"]["evidence"]}
    for claim in reply.claims:
        (cited,) = claim.evidence
        assert claim.start == known[cited]["start"]
    assert len(reply.claims) == 6  # the first shot is no cut


def test_a_caption_keeps_to_its_length_and_drops_cuts_first(inputs: Inputs) -> None:
    reply = write_caption(CaptionInputs.model_validate({**inputs["caption"], "max_words": 36}))
    told = " ".join(claim.text for claim in reply.claims)
    assert len(told.split()) <= 36
    assert "Vienna" in told and "cuts" not in told


def test_nothing_found_is_said(inputs: Inputs) -> None:
    reply = write_caption(CaptionInputs.model_validate({**inputs["caption"], "evidence": []}))
    assert [claim.text for claim in reply.claims] == ["Nothing is known about what this video shows"] == [reply.short]


def test_each_view_uses_only_its_own_evidence(inputs: Inputs) -> None:
    reply = queries(inputs, per_view=5)
    assert {query.view for query in reply.queries} == {"caption", "speech", "ocr", "metadata", "all"}
    for query in reply.queries:
        modalities = {facet.modality for facet in query.facets}
        if query.view in ("speech", "ocr", "metadata"):
            assert modalities == {query.view}
        if query.view == "all":
            assert len(modalities) == 2
        assert query.facets and len(query.text.split()) <= 40


def test_what_is_heard_has_a_view_of_its_own(inputs: Inputs) -> None:
    heard = [
        {"id": f"e{at}", "kind": "sound", "text": text, "start": at, "end": at + 3.0, "confidence": 0.9}
        for at, text in ((2.0, "music plays"), (9.0, "someone sings"))
    ]
    told = [*inputs["queries"]["evidence"], *heard]
    written = queries(inputs, views=["sound"], evidence=told, per_view=3).queries
    assert {(query.view, facet.modality) for query in written for facet in query.facets} == {("sound", "sound")}
    assert any(query.kind == "temporal" for query in written)
    judge = EvidenceJudge(lines(told), "")
    assert [query.text for query in written if judge.judge(query.text).margin < 8] == []
    caption = write_caption(CaptionInputs.model_validate({**inputs["caption"], "evidence": heard}))
    assert [claim.text for claim in caption.claims] == ["Music plays", "Someone sings"]


def test_a_view_without_evidence_yields_no_query(inputs: Inputs) -> None:
    spoken = [line for line in inputs["queries"]["evidence"] if line["kind"] in ("speech", "shot")]
    reply = queries(inputs, evidence=spoken, claims=[])
    assert {query.view for query in reply.queries} == {"speech", "all"}
    assert queries(inputs, evidence=[], claims=[]).queries == ()


def test_every_kind_but_composed_is_written(inputs: Inputs) -> None:
    kinds = {query.kind for query in queries(inputs, per_view=10).queries}
    assert kinds == {"event", "temporal", "negation", "multi_hop", "moment"}


def test_every_query_is_answered_by_its_own_video(inputs: Inputs) -> None:
    caption = write_caption(CaptionInputs.model_validate(inputs["caption"]))
    claims = [claim.model_dump(mode="json") for claim in caption.claims]
    told = " ".join(claim.text for claim in caption.claims)
    written = queries(inputs, per_view=10, caption=told, claims=claims).queries
    assert len(written) >= 20
    judge = EvidenceJudge(lines(inputs["queries"]["evidence"]), told)
    assert [query.text for query in written if judge.judge(query.text).margin < 8] == []


def test_facets_are_where_the_evidence_is(inputs: Inputs) -> None:
    spans = {(line["start"], line["end"]) for line in inputs["queries"]["evidence"]}
    for query in queries(inputs, per_view=10, claims=[]).queries:
        for facet in query.facets:
            assert (facet.start, facet.end) in spans
        if query.kind in ("temporal", "multi_hop"):
            assert len(query.facets) == 2
            first, second = (facet.start for facet in query.facets)
            assert first is not None and second is not None and first < second


def test_a_title_is_copied_by_the_metadata_view_alone(inputs: Inputs) -> None:
    title = "Grand Hotel"  # also to be read on screen
    evidence = [line for line in inputs["queries"]["evidence"] if line["kind"] != "metadata"]
    evidence.append(
        {"id": "e_m", "kind": "metadata", "text": f"title: {title}", "start": None, "end": None, "confidence": None}
    )
    written = queries(inputs, evidence=evidence, per_view=10).queries
    assert written
    for query in written:
        assert contains_phrase(words(query.text), words(title)) == (query.view == "metadata")


def test_negation_names_only_what_is_truly_absent(inputs: Inputs) -> None:
    expected = ["exit", "closed", "welcome", "danger", "menu", "sale", "stop", "breaking news"]
    evidence = [
        {"id": f"e{n}", "kind": "ocr", "text": word, "start": float(n), "end": n + 1.0, "confidence": 1.0}
        for n, word in enumerate(expected[:-1])
    ]
    negations = [query for query in queries(inputs, evidence=evidence, per_view=10).queries if query.kind == "negation"]
    assert negations and all('never shows "breaking news"' in query.text for query in negations if query.view == "ocr")


def test_other_evidence_gives_other_wording_and_the_same_evidence_the_same(inputs: Inputs) -> None:
    assert queries(inputs) == queries(inputs)
    texts = set()
    for shift in range(12):
        moved = [
            line if line["start"] is None else {**line, "start": line["start"] + shift, "end": line["end"] + shift}
            for line in inputs["queries"]["evidence"]
        ]
        texts.add(next(query.text for query in queries(inputs, evidence=moved).queries if query.view == "ocr"))
    assert len(texts) >= 4


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"grand hotel" before "platform 9"', '"platform 9" before "grand hotel"'),
        ('"platform 9" after "grand hotel"', '"grand hotel" after "platform 9"'),
        ("first the grand hotel, then the train to vienna", "first the train to vienna, then the grand hotel"),
        ("after the grand hotel, platform 9", "after platform 9, the grand hotel"),
        ("before platform 9, the grand hotel", "before the grand hotel, platform 9"),
        ("grand hotel followed by platform 9", "platform 9 followed by grand hotel"),
        (
            "a trip that begins with a grand hotel and comes to a garden",
            "a trip that begins with a garden and comes to a hotel",
        ),
        ("grand hotel first and platform 9 after that", "platform 9 first and grand hotel after that"),
        ("the sign says grand hotel and platform 9 later", "the sign says platform 9 and grand hotel later"),
        ("from the grand hotel to platform 9", "from platform 9 to the grand hotel"),
        ("grand hotel until platform 9", "platform 9 until grand hotel"),
        ('"platform 9" while someone says "vienna"', '"grand hotel" while someone says "vienna"'),
        ("someone says vienna but never garage", "someone says vienna but never garden"),
        ("a hotel without a swimming pool", "a hotel without a garden"),
    ],
)
def test_order_and_negation_decide(evidence: list[dict[str, Any]], right: str, wrong: str) -> None:
    assert margin(evidence, right) > 0 > margin(evidence, wrong)


def test_words_of_order_and_negation_in_quotation_marks_are_content() -> None:
    parsed = parse_query('the sign "do not enter before noon" but no dog')
    assert parsed.clauses == [["not", "enter", "before", "noon"]] and parsed.absent == ["dog"]
    assert parsed.relations == []


def test_an_edit_tells_what_differs_in_the_order_in_which_it_comes() -> None:
    """However the differences are listed: what is said to follow does."""
    floors = [
        {"id": f"e{at}", "kind": "ocr", "text": f"floor {at}", "start": at, "end": at + 0.9, "confidence": 0.95}
        for at in (5.0, 6.0, 7.0, 8.0)
    ]
    told = [f"floor {first:.1f}, then floor {first + 1:.1f}" for first in (7.0, 5.0)]
    asked = {
        "video": {"duration_s": 12}, "evidence": floors, "caption": "", "claims": [], "reference": "another",
        "relation": "chiral", "differences": [{"here": here, "there": "something else"} for here in told],
        "max_words": 60,
    }  # fmt: skip
    reply = compose(ComposeInputs.model_validate(asked))
    assert [facet.start for facet in reply.facets] == [5.0, 6.0, 7.0, 8.0]
    assert EvidenceJudge(lines(floors), None).judge(reply.text).margin > 0


def test_an_edit_is_judged_beside_what_it_starts_from(evidence: list[dict[str, Any]]) -> None:
    """Of a video that has what the edit asks for and nothing else of the reference, the answer is no."""
    judge = EvidenceJudge(lines(evidence), None)
    edit = 'the same, but the text "Platform 9" is shown'
    near = (
        'The text "Grand Hotel" is read. Someone says "please follow me to the garden". The text "Platform 7" is read.'
    )
    far = 'The text "Bakery" is read. A red thing moves upwards. Someone says "fresh bread every morning".'
    assert judge.judge(edit, near).margin == judge.judge(edit).margin > 0 > judge.judge(edit, far).margin
    assert "too little of what the reference shows is there" in judge.judge(edit, far).reasoning
    assert judge.judge('the same, but the text "Small Inn" is shown', near).margin < 0


@pytest.mark.parametrize(("there", "denied"), [("V", False), ("1", False), ("7:30", True), ("SOLD OUT", True)])
def test_a_piece_of_a_text_is_not_denied(there: str, denied: bool) -> None:
    """A recogniser is sure of single signs too, and many of them are pieces of what was read a moment later."""
    read = [
        {"id": "e_1", "kind": "ocr", "text": "FLOOR 6", "start": 0.0, "end": 1.0, "confidence": 0.99},
        {"id": "e_2", "kind": "ocr", "text": there, "start": 1.0, "end": 2.0, "confidence": 0.99},
    ]
    asked = CounterfactualInputs.model_validate(
        {
            "video": {"duration_s": 5.0, "looked_s": 5.0},
            "evidence": read,
            "caption": "A lift.",
            "query": 'a clip where a sign reads "floor 6"',
            "language": "en",
            "kind": "event",
            "facets": [{"text": "floor 6", "modality": "ocr", "start": 0.0, "end": 1.0}],
            "variants": ["negated"],
            "rejected": [],
            "max_words": 30,
        }
    )
    written = [query.text for query in write_counterfactuals(asked).queries]
    assert written == ([f'a clip where a sign reads "floor 6" but the screen never shows "{there.lower()}"'] * denied)


@pytest.mark.parametrize(
    ("query", "in_keywords"), [("red car moves upwards", True), ("the part where a red car moves upwards", False)]
)
def test_a_counterfactual_has_the_style_of_its_query(query: str, in_keywords: bool) -> None:
    """Articles in one of two texts would tell which of them was made out of the other."""
    lines = [
        {"id": "e_1", "kind": "motion", "text": "a red car moves upwards", "start": 0.0, "end": 1.0, "confidence": 0.9},
        {"id": "e_2", "kind": "motion", "text": "a green ball falls", "start": 1.0, "end": 2.0, "confidence": 0.9},
        {"id": "e_3", "kind": "ocr", "text": "grand hotel", "start": 2.0, "end": 3.0, "confidence": 0.99},
    ]
    elsewhere = [{"text": "a tall dog runs", "modality": "motion"}, {"text": "exit", "modality": "ocr"}]
    asked = CounterfactualInputs.model_validate(
        {
            "video": {"duration_s": 5.0, "looked_s": 5.0},
            "evidence": lines,
            "caption": "A red car moves upwards. A green ball falls.",
            "query": query,
            "language": "en",
            "kind": "event",
            "facets": [{"text": "a red car moves upwards", "modality": "motion", "start": 0.0, "end": 1.0}],
            "variants": ["reversed", "negated", "negated_absent", "facet_changed"],
            "elsewhere": elsewhere,
            "rejected": [],
            "max_words": 30,
        }
    )
    written = {each.variant: each.text for each in write_counterfactuals(asked).queries}
    assert set(written) == {"reversed", "negated", "negated_absent", "facet_changed"}
    assert {text == keywords(text) for text in written.values()} == {in_keywords}


def test_the_margin_grows_with_what_is_covered(evidence: list[dict[str, Any]]) -> None:
    steps = ["elephant parade", "elephant parade hotel", "elephant grand hotel", "grand hotel"]
    margins = [margin(evidence, step) for step in steps]
    assert margins == sorted(margins) and len(set(margins)) == 4
    assert margins[0] <= -6 and margins[-1] > 8  # a trusted negative, a suspected positive


def test_what_cannot_be_checked_is_undecided(evidence: list[dict[str, Any]]) -> None:
    shots = [line for line in evidence if line["kind"] == "shot"]
    assert margin(shots, "a red car") == 0
    assert margin(evidence, "the video where it is") == 0


def test_a_direction_is_no_order_of_two_things() -> None:
    line = {"id": "e_1", "kind": "motion", "text": "a blue thing moves from right to left and comes to rest"}
    assert margin([{**line, "start": 0.0, "end": 2.0}], "a blue thing moves from right to left and comes to rest") > 8


def test_a_movement_the_other_way_is_a_violated_order() -> None:
    line = {
        "id": "e_1",
        "kind": "motion",
        "text": "a resting blue thing moves from left to right",
        "start": 0.0,
        "end": 2.0,
    }
    other = {**line, "id": "e_2", "text": "a red thing moves from right to left"}
    assert margin([line, other], "a resting blue thing moves from left to right") > 8
    assert margin([line, other], "a resting blue thing moves from right to left") < -3
    both = {**line, "id": "e_3", "text": "a resting blue thing moves from right to left"}
    assert margin([line, both], "a resting blue thing moves from right to left") > 8
    assert margin([{**line, "text": "a red thing gets larger"}], "a red thing gets smaller") < 0


def test_what_hangs_on_something_unsure_is_undecided() -> None:
    badly_read = {"id": "e_1", "kind": "ocr", "text": "MISins", "start": 0.0, "end": 2.0, "confidence": 0.7}
    moving = {"id": "e_2", "kind": "motion", "text": "something moves upwards", "start": 0.0, "end": 1.0}
    assert margin([badly_read], 'a sign reads "misins"') == 0 == margin([badly_read], 'a sign reads "misyains"')
    assert margin([moving], "a grey thing moves upwards") == 0 > margin([moving], "a grey thing moves downwards")
    assert margin([badly_read], 'a sign reads "harbour"') < -6
    assert margin([badly_read], 'the screen never shows "misyains"') == 0
    assert margin([{**badly_read, "confidence": 0.95}], 'a sign reads "misins"') > 8


def test_the_reasoning_says_what_was_found_where_and_what_was_not(evidence: list[dict[str, Any]]) -> None:
    reasoning = EvidenceJudge(lines(evidence), None).judge("grand hotel before a zebra, without a garden").reasoning
    assert '"grand hotel" (read at 1-4 s)' in reasoning and 'did not find "zebra"' in reasoning
    assert 'should be absent but is there: "garden" (said at 5-8 s)' in reasoning


async def test_wrong_inputs_are_told() -> None:
    with pytest.raises(ItemError, match="query"):
        await EvidenceTeacher().complete([Request("judge", {"evidence": []}, Sampling())])


async def test_a_thousand_judgments_take_about_a_second(evidence: list[dict[str, Any]], inputs: Inputs) -> None:
    many = [{**line, "id": f"{line['id']}{n}"} for n in range(8) for line in evidence]
    asked = [
        Request("judge", {**inputs["judge"], "evidence": many, "query": f'"grand hotel" before train {n}'}, Sampling())
        for n in range(1000)
    ]
    started = time.process_time()
    await EvidenceTeacher().complete(asked)
    assert time.process_time() - started < 3  # measured: 0.5 s


@pytest.mark.parametrize(
    ("query", "turned"),
    [
        ("a man picks up the red cup", ["a man puts down the red cup"]),
        ("a door opens before a bell", ["a door closes before a bell"]),
        ("An old man enters", ["An old man leaves"]),
        ("a woman opens a box and walks to the left", ["a woman opens a box and walks to the right",
                                                        "a woman closes a box and walks to the left"]),
        ("a dog jumps over the fence", []),
        ('the sign "opens at 9" is read', []),
        ("leaves on the ground", []),
        ("it opens and it opens", []),
    ],
)  # fmt: skip
def test_an_action_is_turned_round_in_time(query: str, turned: list[str]) -> None:
    assert list(turned_in_time(query)) == turned


def test_a_reversed_query_says_the_antonym_of_an_action(inputs: Inputs) -> None:
    """Also where the query has no order, and its words are not those of our own writer."""
    seen = {"id": "e_1", "kind": "motion", "text": "a gate is unlocked", "start": 1.0, "end": 3.0, "confidence": 0.9}
    asked = CounterfactualInputs.model_validate(
        {
            **inputs["counterfactual"],
            "evidence": [seen],
            "caption": "A gate is unlocked.",
            "query": "somebody unlocks a gate",
            "kind": "event",
            "facets": [{"text": "unlocks a gate", "modality": "motion", "start": 1.0, "end": 3.0}],
            "variants": ["reversed"],
            "rejected": [],
        }
    )
    [written] = write_counterfactuals(asked).queries
    assert written.text == "somebody locks a gate" and written.facets[0].text == "locks a gate"


@pytest.mark.parametrize(
    ("query", "facets"),
    [
        ('a red ball rolls to the left before a sign reads "SALE TODAY"',
         [("a red ball rolls to the left", "motion"), ("SALE TODAY", "ocr")]),
        ('clip where someone says "good morning" but nobody says "goodbye"', [("good morning", "speech")]),
        ('the video titled "A day out"', [("A day out", "metadata")]),
        ("a man opens a door, then a dog sleeps", [("a man opens a door", "motion"), ("a dog sleeps", "visual")]),
        ("when a bell rings while the speaker says the train leaves",
         [("a bell rings", "sound"), ("the speaker says the train leaves", "speech")]),
        ("after the goal, the crowd without flags", [("the goal", "visual"), ("the crowd", "visual")]),
        ('a sign reads "before, then after"', [("before, then after", "ocr")]),
        ("Notre Dame fire 2019", [("Notre Dame fire 2019", "visual")]),
        ("no dog", []),
    ],
)  # fmt: skip
async def test_a_users_query_is_taken_apart(query: str, facets: list[tuple[str, str]]) -> None:
    asked = {"queries": [{"number": 1, "text": query, "language": "und"}]}
    [reply] = await EvidenceTeacher().complete([Request("decompose", asked, Sampling(), reply=DecomposeReply)])
    assert isinstance(reply, Reply) and isinstance(reply.parsed, DecomposeReply)
    assert [(each.text, each.modality) for each in reply.parsed.queries[0].facets] == facets
