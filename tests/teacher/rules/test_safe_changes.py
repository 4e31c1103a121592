"""The teacher without a model changes nothing that may be as it says after the change."""

from __future__ import annotations

from typing import Any

import pytest

from hardcut.teacher.prompts.inputs import ContrastInputs, CounterfactualInputs, EvidenceLine, SameInputs
from hardcut.teacher.rules.checker import compare_queries
from hardcut.teacher.rules.contrast import write_contrasts
from hardcut.teacher.rules.mentions import can_be_asked
from hardcut.teacher.rules.rewriter import write_counterfactuals

SHADES = ("black", "grey", "white", "brown")


def line(id: str, text: str, start: float = 0.0, end: float = 2.0, kind: str = "motion") -> dict[str, Any]:
    return {"id": id, "kind": kind, "text": text, "start": start, "end": end, "confidence": 0.95}


def counterfactuals(query: str, evidence: list[dict[str, Any]], elsewhere: list[str], *variants: str) -> dict[str, str]:
    """What is written of a query for its first line of evidence, by variant."""
    facet = {"text": evidence[0]["text"], "modality": "motion", "start": 0.0, "end": 2.0}
    asked = CounterfactualInputs.model_validate(
        {
            "video": {"duration_s": 9.0, "looked_s": 9.0},
            "evidence": evidence,
            "caption": ". ".join(each["text"] for each in evidence),
            "query": query,
            "language": "en",
            "kind": "event",
            "facets": [facet],
            "variants": list(variants),
            "elsewhere": [{"text": text, "modality": "motion"} for text in elsewhere],
            "rejected": [],
            "max_words": 30,
        }
    )
    return {each.variant: each.text for each in write_counterfactuals(asked).queries}


def test_what_leaves_may_have_entered() -> None:
    """The way may be turned round, and entering not exchanged for leaving: of that a line says nothing."""
    leaves = "a white thing moves from left to right as it leaves"
    back = "a white thing moves from right to left"
    query = f"a clip where {leaves}"
    assert counterfactuals(query, [line("e1", leaves)], [], "reversed") == {
        "reversed": f"a clip where {back} as it leaves"
    }
    assert counterfactuals(query, [line("e1", leaves), line("e2", back, 3, 4)], [], "reversed") == {}
    small = "a small white thing moves from left to right as it enters"
    other = "a red thing moves upwards"
    written = counterfactuals(f"a clip where {small}", [line("e1", small)], [leaves, other], "facet_changed")
    assert written == {"facet_changed": f"a clip where {other}"}, "it shares fewer words, and is not there"


@pytest.mark.parametrize(
    ("text", "asked"),
    [("the camera stands still", False), ("the camera pans to the left", True), ("a red thing moves upwards", True)],
)
def test_a_camera_that_stands_is_no_event(text: str, asked: bool) -> None:
    """It stands before and after whatever else happens, though one shot alone may show it well."""
    assert can_be_asked(EvidenceLine.model_validate(line("e1", text, 3.0, 5.0)), 9.0) is asked


def edits(text: str) -> list[tuple[str, str]]:
    """The edited text and the edit."""
    reply = write_contrasts(ContrastInputs(text=text, nuances=("composed",), max_words=60))
    return [(each.text, each.edit) for each in reply.contrasts]


def test_the_colours_of_a_whole_picture_are_not_exchanged() -> None:
    """It has others too, and two people name them otherwise."""
    assert edits("Mostly grey, with blue. The camera stands still.") == []
    assert edits("Of many colours, green among them. The camera stands still.") == []
    for colour in ("red", "white", "purple"):
        [(text, _)] = edits(f"Mostly grey, with blue. The camera stands still. A {colour} thing moves upwards.")
        assert text.startswith("Mostly grey, with blue. The camera stands still. A") and colour not in text


def test_a_colour_is_exchanged_for_one_that_nobody_takes_for_it() -> None:
    like = {
        "red": "orange pink brown", "orange": "red yellow brown", "yellow": "orange green brown",
        "green": "yellow turquoise", "turquoise": "green blue grey", "blue": "turquoise purple grey",
        "purple": "blue pink", "pink": "purple red", "black": "grey brown", "white": "grey",
        "brown": "black grey red orange yellow", "grey": "black white brown blue turquoise",
    }  # fmt: skip
    for colour, others in like.items():
        for end in ("upwards", "downwards", "away", "over the road", "up the hill", "down the hill"):
            found = edits(f"A {colour} thing moves {end}.")
            assert found and found[0][1].split()[0] not in (*others.split(), *SHADES, colour), found
    exchanged = {edits(f"A white dog {does}.")[0][0].split()[1] for does in ("eats", "barks", "sits", "runs", "sleeps")}
    assert exchanged - set(SHADES) and exchanged & {"black", "brown", "white"}, "of a dog more is known"


def test_where_nothing_else_can_be_exchanged_another_text_is_read() -> None:
    given = 'Mostly grey. The text "BUTCHER" can be read.'
    [(text, edit)] = edits(given)
    sign = text.partition('"')[2].partition('"')[0]
    assert text == given.replace("BUTCHER", sign) and sign.isupper()
    assert edit == f'"{sign}" in place of "BUTCHER"'
    assert edits('Someone says: "good morning".') == [], "speech stays as it is"
    [(text, _)] = edits('A red thing moves. The text "BUTCHER" can be read.')
    assert "BUTCHER" in text, "what is not in quotation marks comes first"


def test_sizes_are_not_exchanged() -> None:
    """What one person calls small another one does not."""
    assert edits("A small thing moves from left to right.") == []
    [(text, _)] = edits("A large red thing moves from left to right.")
    assert "large" in text and "red" not in text


def test_an_order_holds_by_way_of_others() -> None:
    def follows(first: str, second: str) -> bool:
        pair = {"number": 1, "first": first, "second": second}
        return compare_queries(SameInputs.model_validate({"pairs": [pair]})).pairs[0].follows

    caption = "A red ball rolls. Then a dog barks. Then a blue car stops."
    assert follows(caption, "A red ball rolls. Then a blue car stops.")
    assert follows(caption, "a blue car stops after a red ball rolls")
    assert not follows(caption, "A blue car stops. Then a red ball rolls.")
    assert not follows(
        "A red ball rolls. Then a dog barks while a blue car stops.", "A red ball rolls. Then a blue car."
    )
