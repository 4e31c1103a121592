"""Triplets of captions and NLI lines, without a video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from hardcut.engine.stage import Unit
from hardcut.report.statistics.sides import Sides, audit
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Sampling, TeacherRef
from hardcut.schemas.settings import TripletSettings
from hardcut.schemas.triplets import NUANCES, Nuance, Triplet, is_balanced
from hardcut.synth.text.item import TextItem
from hardcut.synth.text.text_triplets import TextTripletStage
from hardcut.teacher.prompts.inputs import ContrastInputs
from hardcut.teacher.prompts.reply_models import (
    ContrastReply,
    FollowsReply,
    ParaphraseReply,
    SameReply,
    TurnedReply,
    WordingReply,
)
from hardcut.teacher.protocol import Refusal, Reply
from hardcut.teacher.rules.contrast import write_contrasts
from hardcut.teacher.rules.teacher import EvidenceTeacher

ALL = TripletSettings()
TEACHER = TeacherRef(backend="openai", model="writer")
SUBJECTS = ("a man", "a woman", "two boys", "the old farmer", "a child in a red coat", "someone")
ACTIONS = (
    "opens the door of a blue car", "walks up the stairs with a dog", "is pushing a cart along the street",
    "picks up a bottle from the table", "is playing the guitar in a kitchen", "puts a hat on a small horse",
)  # fmt: skip
CAPTIONS = [f"{subject.capitalize()} {action}." for subject in SUBJECTS for action in ACTIONS]


class Writer:
    """Answers each task with what it is given."""

    def __init__(self, *turned: TurnedReply, again: str = "", unlike: Sequence[tuple[str, str]] = ()) -> None:
        self.turned, self.again, self.unlike = turned, again, set(unlike)

    def describe(self, task: Any, sampling: Sampling) -> TeacherRef:
        return TEACHER

    async def complete(self, requests: Any) -> list[Any]:
        return [self._answer(each) for each in requests]

    def _answer(self, request: Any) -> Any:
        parsed: Any
        if request.task == "contrast":
            parsed = ContrastReply(contrasts=self.turned)
        elif request.task == "paraphrase":
            parsed = ParaphraseReply(paraphrases=(WordingReply(number=1, text=self.again),) if self.again else ())
        else:
            pairs = [(each["number"], (each["first"], each["second"])) for each in request.inputs["pairs"]]
            parsed = SameReply(
                pairs=tuple(FollowsReply(number=n, reason="it", follows=pair not in self.unlike) for n, pair in pairs)
            )
        return Reply(parsed.model_dump_json(), TEACHER, parsed=parsed)


def turned(nuance: Nuance, text: str, again: str, text_again: str, edit: str = "", back: str = "") -> TurnedReply:
    return TurnedReply(nuance=nuance, text=text, again=again, text_again=text_again, edit=edit, back=back)


def both_ways(one: str, other: str) -> list[tuple[str, str]]:
    return [(one, other), (other, one)]


async def made(item: TextItem, teacher: Any, options: TripletSettings = ALL) -> Any:
    return await TextTripletStage(teacher, Sampling(), options).run(Unit(item.id, payload=item))


def reasons(output: Any) -> Counter[str]:
    return Counter(each.reason for each in output.dropped)


async def test_a_caption_gives_a_balanced_set_for_each_nuance() -> None:
    text = "A man opens a door"
    writer = Writer(
        turned("temporal", "A man closes a door", "a door is opened by him", "a door is closed by him"),
        turned("composed", "A woman opens a door", "-", "-", "a woman in his place", "a man in her place"),
        unlike=both_ways(text, "A man closes a door") + both_ways(text, "A woman opens a door"),
    )
    output = await made(TextItem("c.txt:1", text), writer)
    assert reasons(output) == {"not_written": 2}
    by_nuance: dict[str, list[Triplet]] = {}
    for each in output.records:
        by_nuance.setdefault(each.nuance, []).append(each)
    assert {nuance: len(some) for nuance, some in by_nuance.items()} == {"temporal": 8, "composed": 2}
    assert all(map(is_balanced, by_nuance.values()))
    assert {(each.anchor, each.positive, each.hard_negative) for each in by_nuance["composed"]} == {
        ("A man opens a door Edit: a woman in his place", "A woman opens a door", text),
        ("A woman opens a door Edit: a man in her place", text, "A woman opens a door"),
    }
    first = next(each for each in by_nuance["temporal"] if each.anchor == text)
    assert (first.anchor_source.kind, first.positive_source.kind, first.anchor_source.id) == (
        "given",
        "paraphrase",
        "c.txt:1",
    )
    assert len({each.family for each in output.records}) == 1 and first.video_id is None


async def test_what_is_wrong_with_a_contrast_is_told() -> None:
    text = "A man opens a door"
    apart = both_ways(text, "A man closes a door")
    good = turned("temporal", "A man closes a door", "he opens it", "he closes it")
    cases: list[tuple[Writer, str]] = [
        (Writer(good), "not_apart"),
        (Writer(good, unlike=[*apart, ("he opens it", text)]), "meaning_changed"),
        (Writer(good, unlike=[*apart, ("A man closes a door", "he closes it")]), "meaning_changed"),
        (Writer(good.model_copy(update={"text_again": "HE opens  it"}), unlike=apart), "unchanged"),
        (Writer(good.model_copy(update={"again": "so " * 70}), unlike=apart), "too_long"),
        (Writer(good.model_copy(update={"nuance": "negation"}), unlike=apart), "not_asked"),
    ]
    for writer, reason in cases:
        output = await made(TextItem("c.txt:1", text), writer, TripletSettings(nuances=("temporal",)))
        assert not output.records and reason in reasons(output), reason
    edit = turned("composed", "A woman opens a door", "-", "-", "paint it", "a man in her place")
    writer = Writer(edit, unlike=both_ways(text, "A woman opens a door"))
    output = await made(TextItem("c.txt:1", text), writer, TripletSettings(nuances=("composed",)))
    assert reasons(output) == {"edit_says_nothing": 1}
    output = await made(TextItem("c.txt:1", text, fault=("duplicate", "as line 0")), writer)
    assert output.drop is not None and output.drop.reason == "duplicate"


async def test_a_teacher_that_does_not_answer_fails_the_line() -> None:
    class Silent(Writer):
        def _answer(self, request: Any) -> Any:
            return Refusal("timeout", "nobody answers") if request.task == "same" else super()._answer(request)

    with pytest.raises(ItemError, match="nobody answers"):
        await made(TextItem("c.txt:1", "A man opens a door"), Silent(turned("facet", "b", "c", "d")))


NLI = TextItem("n.jsonl:1+2", "Two men play", "Men play", "Two men do not play", ("n.jsonl:1", "n.jsonl:2"))


async def test_an_nli_triple_is_a_balanced_set() -> None:
    writer = Writer(again="two men who do not play", unlike=both_ways("Men play", "Two men do not play"))
    output = await made(NLI, writer)
    assert not output.dropped and is_balanced(output.records)
    assert {(each.anchor, each.positive, each.hard_negative) for each in output.records} == {
        ("Two men play", "Men play", "Two men do not play"),
        ("two men who do not play", "Two men do not play", "Men play"),
    }
    assert {each.nuance for each in output.records} == {"negation"}
    assert {each.hard_negative_source.id for each in output.records} == {"n.jsonl:1", "n.jsonl:2"}
    assert reasons(await made(NLI, Writer(again="two men who do not play"))) == {"not_apart": 1}
    assert reasons(await made(NLI, Writer())) == {"not_reworded": 1}
    wrong = [("Two men do not play", "they play"), *both_ways("Men play", "Two men do not play")]
    assert reasons(await made(NLI, Writer(again="they play", unlike=wrong))) == {"meaning_changed": 1}
    assert reasons(await made(NLI, writer, TripletSettings(nuances=("temporal",)))) == {"not_asked": 1}


@pytest.mark.parametrize(
    ("nuance", "entailment", "contradiction"),
    [
        ("temporal", "a man opens a box", "a man closes a box"),
        ("facet", "a man opens a box", "a woman opens a box"),
        ("negation", "nobody opens a box", "a man opens a box"),
    ],
)
async def test_the_nuance_of_an_nli_triple_is_in_its_words(nuance: str, entailment: str, contradiction: str) -> None:
    item = TextItem("n:1", "somebody does something", entailment, contradiction, ("n:1", "n:2"))
    output = await made(item, Writer(again="said otherwise", unlike=both_ways(entailment, contradiction)))
    assert {each.nuance for each in output.records} == {nuance}


async def test_rules_turn_captions_and_text_tells_nothing() -> None:
    triplets: list[Triplet] = []
    for number, text in enumerate(CAPTIONS, 1):
        output = await made(TextItem(f"c.txt:{number}", text), EvidenceTeacher())
        assert not set(reasons(output)) - {"not_written"}, output.dropped
        triplets += output.records
    counts = Counter(each.nuance for each in triplets)
    assert set(counts) == set(NUANCES) and min(counts.values()) >= 20
    for nuance in NUANCES:
        some = [each for each in triplets if each.nuance == nuance]
        told = audit([Sides(each.id, each.positive, each.hard_negative, each.set_id) for each in some])
        assert told is not None and told.by_chance


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man opens the door.", "A man closes the door."),
        ("She is picking up a cup", "She is putting down a cup"),
        ("A boy walks out of the house", "A boy walks into the house"),
        ("An arrow points from left to right", "An arrow points from right to left"),
        ("Someone unties a rope", "Someone ties a rope"),
        ('A sign says "up and close" on a wall', None),
        ("A close-up of green leaves", None),
        ("He walks up and down", None),
        ("The building is tall", None),
    ],
)
def test_rules_turn_actions_round(text: str, expected: str | None) -> None:
    inputs = ContrastInputs(text=text, nuances=("temporal",), max_words=40)
    assert [each.text for each in write_contrasts(inputs).contrasts] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man is singing", "A man is not singing"),
        ("A man is not singing", "A man is singing"),
        ("A dog without a collar", "A dog with a collar"),
        ("A girl wearing a coat", "A girl not wearing a coat"),
        ("Nobody", None),
        ("A road", None),
    ],
)
def test_rules_negate(text: str, expected: str | None) -> None:
    inputs = ContrastInputs(text=text, nuances=("negation",), max_words=40)
    assert [each.text for each in write_contrasts(inputs).contrasts] == ([expected] if expected else [])


async def test_out_of_something_is_not_into_it() -> None:
    options = TripletSettings(nuances=("temporal",))
    output = await made(TextItem("c:1", "A dog walks out of a house"), EvidenceTeacher(), options)
    assert len(output.records) == 8 and not output.dropped


def test_rules_exchange_one_thing_and_mind_the_article() -> None:
    inputs = ContrastInputs(text="An orange bus stops", nuances=("facet", "composed"), max_words=40)
    for each in write_contrasts(inputs).contrasts:
        article, colour, thing = each.text.split()[:3]
        assert (article == "An") == (colour[0] in "aeiou")
        assert (colour == "orange") != (thing == "bus")
        if each.nuance == "composed":
            new, _, old = each.edit.partition(" in place of ")
            assert new in each.text and old in "An orange bus stops" and each.back == f"{old} in place of {new}"
