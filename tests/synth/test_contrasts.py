"""Triplets of texts out of queries and counterfactuals: true, balanced, and told apart by nothing but what they say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("espeakng_loader", reason='worlds are made with pip install "hardcut[render]"')

from hardcut.data.model import Question
from hardcut.data.truth import answers
from hardcut.data.world import make_world
from hardcut.engine.stage import Unit
from hardcut.report.statistics.sides import Sides, audit
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Caption, Claim, Query, Sampling, Span, TeacherRef, Variant, Video
from hardcut.schemas.settings import CounterfactualSettings, TripletSettings
from hardcut.schemas.triplets import AFFIRMED, NUANCES, Triplet, is_balanced
from hardcut.schemas.twin import Difference, Twin
from hardcut.synth.contrasts import composed_triplet, contrasts_of, edited_captions
from hardcut.synth.counterfactuals import CounterfactualStage
from hardcut.synth.edited import parts_of
from hardcut.synth.judges import Judge
from hardcut.synth.triplet_stage import TripletStage
from hardcut.teacher.prompts.reply_models import (
    ContrastReply,
    FollowsReply,
    ParaphraseReply,
    SameReply,
    TurnedReply,
    WordingReply,
)
from hardcut.teacher.protocol import NOT_SENT, Refusal
from hardcut.teacher.rules.teacher import EvidenceTeacher
from tests.synth.test_blocks import independent
from tests.synth.test_counterfactuals import changed, neighbours_of, written_for

SAMPLING = Sampling(max_frames=4)
TEACHER = TeacherRef(backend="openai", model="writer")
ALL = TripletSettings(nuances=NUANCES)


def query(text: str, variant: Variant = "original", parent: str | None = None, **fields: Any) -> Query:
    given = {"view": "caption", "kind": "event", "language": "en", "source_video_id": "v1", **fields}
    return Query.create(text=text, variant=variant, parent_query_id=parent, teacher=TEACHER, **given)


def by_texts(triplets: list[Triplet]) -> set[tuple[str, str, str]]:
    return {(each.anchor, each.positive, each.hard_negative) for each in triplets}


async def made(unit: list[Any], teacher: Any, options: TripletSettings = ALL) -> Any:
    def reference(video_id: str) -> Unit:
        return Unit(video_id, ())

    return await TripletStage(teacher, SAMPLING, options, reference).run(Unit("v1", tuple(unit)))


def test_a_denial_stands_with_and_without_what_it_denies() -> None:
    parent = query("a man waves")
    there = query("a man waves but never a dog barks", "negated", parent.query_id)
    absent = query("a man waves but never a cat sleeps", "negated_absent", parent.query_id)
    found = {(each.one.text, each.other.text) for each in contrasts_of([parent, there, absent], ["negation"])}
    assert found == {
        (absent.text, there.text),
        ("a man waves and a dog barks", there.text),
        (absent.text, "a man waves and a cat sleeps"),
    }, "the query itself says nothing of what is denied"
    both = query("a man waves before a dog barks")
    denial = query("a man waves but never a dog barks", "negated", both.query_id)
    assert [(each.one.text, each.other.text) for each in contrasts_of([both, denial], NUANCES)] == [
        (both.text, denial.text)
    ]
    assert not list(contrasts_of([parent, there, absent], ["temporal", "facet"]))


def test_a_denial_in_other_words_or_another_language_is_left_as_it_is() -> None:
    parent = query("ein Mann winkt", language="de")
    there = query("ein Mann but never winkt", "negated", parent.query_id, language="de")
    absent = query("ein Mann but never steht", "negated_absent", parent.query_id, language="de")
    found = list(contrasts_of([parent, there, absent], ["negation"]))
    assert not any(AFFIRMED in side.source.id for each in found for side in (each.one, each.other))


async def test_a_set_has_two_meanings_in_two_wordings(make_video: Any) -> None:
    parent = query("a red ball rolls before a dog barks", kind="temporal")
    other = query("a dog barks before a red ball rolls", "reversed", parent.query_id)
    output = await made([make_video("v1"), parent, other], EvidenceTeacher())
    assert output.failure is None and not output.dropped
    a, b, c, d = (
        "a red ball rolls before a dog barks", "a dog barks after a red ball rolls",
        "a dog barks before a red ball rolls", "a red ball rolls after a dog barks",
    )  # fmt: skip
    expected = {(one, other, negative) for one, other in ((a, b), (b, a)) for negative in (c, d)}
    expected |= {(one, other, negative) for one, other in ((c, d), (d, c)) for negative in (a, b)}
    assert by_texts(output.records) == expected and len(output.records) == 8
    assert {each.anchor: each.video_id for each in output.records} == {a: "v1", b: "v1", c: None, d: None}
    assert all(each.made_from == "v1" and each.family == parent.query_id for each in output.records)
    assert is_balanced(output.records) and not is_balanced(output.records[:3])
    first = next(each for each in output.records if each.anchor == a)
    assert (first.anchor_source.kind, first.positive_source.kind) == ("query", "paraphrase")
    assert first.positive_source.id == parent.query_id and first.hard_negative_source.id == other.query_id


class Writer:
    """Answers `paraphrase`, `same` and `contrast` by what it is given."""

    def __init__(
        self,
        wordings: dict[str, str],
        unlike: set[tuple[str, str]],
        refuses: str = "",
        edits: dict[str, TurnedReply] | None = None,
    ) -> None:
        self.wordings, self.unlike, self.refuses, self.edits = wordings, unlike, refuses, edits or {}

    def describe(self, task: Any, sampling: Sampling) -> TeacherRef:
        return TEACHER

    async def complete(self, requests: Any) -> list[Any]:
        return [self._answer(each) for each in requests]

    def _answer(self, request: Any) -> Any:
        from hardcut.teacher.protocol import Reply

        if request.task == self.refuses:
            return Refusal("timeout", "nobody answers")
        parsed: Any
        if request.task == "paraphrase":
            parsed = ParaphraseReply(
                paraphrases=tuple(
                    WordingReply(number=each["number"], text=self.wordings[each["text"]])
                    for each in request.inputs["queries"]
                    if each["text"] in self.wordings
                )
            )
        elif request.task == "contrast":
            found = self.edits.get(request.inputs["text"])
            parsed = ContrastReply(contrasts=(found,) if found else ())
        else:
            pairs = [(each["number"], (each["first"], each["second"])) for each in request.inputs["pairs"]]
            parsed = SameReply(
                pairs=tuple(FollowsReply(number=n, reason="more", follows=pair not in self.unlike) for n, pair in pairs)
            )
        return Reply(parsed.model_dump_json(), TEACHER, parsed=parsed)


def both_ways(*texts: str) -> set[tuple[str, str]]:
    return {(a, b) for a in texts for b in texts if a != b}


async def test_what_is_no_contrast_and_what_changes_the_meaning_is_left_out(make_video: Any) -> None:
    parent = query("he opens it")
    turned = query("he closes it", "reversed", parent.query_id)
    swapped = query("she opens it", "facet_changed", parent.query_id)
    wordings = {"he opens it": "it is opened by him", "he closes it": "it is closed by him", "she opens it": "opened"}
    units = [make_video("v1"), parent, turned, swapped]
    apart = both_ways("he opens it", "he closes it") | both_ways("he opens it", "she opens it")
    output = await made(units, Writer(wordings, apart | {("opened", "she opens it")}))
    assert {each.nuance for each in output.records} == {"temporal"} and len(output.records) == 8
    assert Counter(each.reason for each in output.dropped) == {"meaning_changed": 1, "not_reworded": 1}
    output = await made(units, Writer(wordings, apart - {("he closes it", "he opens it")}))
    assert {each.nuance for each in output.records} == {"facet"}
    assert [each.reason for each in output.dropped] == ["not_apart"]
    output = await made(units, Writer({**wordings, "he opens it": "he  Opens it"}, apart))
    assert not output.records and Counter(each.reason for each in output.dropped) == {
        "duplicate": 1,
        "not_reworded": 2,
    }


@pytest.mark.parametrize("task", ["paraphrase", "same"])
async def test_a_question_without_an_answer_fails_the_video_in_part(make_video: Any, task: str) -> None:
    parent = query("he opens it")
    turned = query("he closes it", "reversed", parent.query_id)
    output = await made([make_video("v1"), parent, turned], Writer({"he opens it": "it is opened"}, set(), task))
    assert not output.records and output.failure is not None and "timeout" in output.failure.reason
    listens = Writer({}, set(), task)
    listens._answer = lambda request: Refusal(NOT_SENT, "nothing is sent")  # type: ignore[method-assign]
    with pytest.raises(ItemError, match="nothing is sent"):
        await made([make_video("v1"), parent, turned], listens)


def claim(text: str, start: float, end: float) -> Claim:
    return Claim(text=text, span=Span(start=start, end=end))


def test_captions_of_an_edit_tell_what_differs_and_a_little_of_the_rest() -> None:
    both = claim('The text "LAUNDRY" can be read', 0, 5)
    here = [both, claim("A red ball rolls", 1, 2), claim("A dog barks", 3, 4), claim("Only here", 0, 1)]
    there = [both, claim("A dog barks", 1, 2), claim("A red ball rolls", 3, 4)]
    swap = [Difference(here="a red ball rolls, then a dog barks", there="a dog barks, then a red ball rolls")]
    back = [Difference(here=swap[0].there, there=swap[0].here)]
    found = edited_captions(here, there, swap)
    assert found == (
        'The text "LAUNDRY" can be read. A red ball rolls. Then a dog barks.',
        'The text "LAUNDRY" can be read. A dog barks. Then a red ball rolls.',
    )
    assert edited_captions(there, here, back) == found[::-1], "so the set of both directions is balanced"
    assert edited_captions(here, there, [Difference(here="a bell rings", there="a dog barks")]) is None
    assert edited_captions(here, there, [Difference(here="a dog barks", there=None)]) is None


def test_a_composed_triplet_and_its_other_direction_are_balanced() -> None:
    captions = {
        name: Caption.create(
            video_id=name, text=text, claims=[claim(text, 1, 2), claim("A dog barks", 3, 4)], teacher=TEACHER
        )
        for name, text in (("v1", "A red ball rolls"), ("v2", "A blue ball rolls"))
    }
    made = []
    for here, there, colours in (("v1", "v2", ("red", "blue")), ("v2", "v1", ("blue", "red"))):
        texts = [f"a {colour} ball rolls" for colour in colours]
        twin = Twin.create(
            video_id=here, other_video_id=there, relation="edit", caption=captions[there].text,
            differences=[Difference(here=texts[0], there=texts[1])],
        )  # fmt: skip
        asked = query(f"the same, but {texts[0]}", kind="composed", source_video_id=here, reference_video_id=there)
        made.append(composed_triplet(asked, twin, captions[here], captions[there]))
    one, other = made
    assert one is not None and other is not None
    assert one.anchor == "A blue ball rolls. Then a dog barks. Edit: the same, but a red ball rolls"
    assert (one.positive, one.hard_negative) == ("A red ball rolls. Then a dog barks.", other.positive)
    assert one.set_id == other.set_id and is_balanced([one, other])
    assert (one.video_id, other.video_id) == ("v1", "v2")


async def test_twins_whose_captions_are_no_contrast_give_no_triplet(make_video: Any) -> None:
    """The one tells of a ball and then of a dog, the other of a dog and of a ball: of what comes first it says
    nothing."""
    told = {
        "v1": [claim("A red ball rolls", 1, 2), claim("A dog barks", 3, 4)],
        "v2": [claim("A dog barks", 1, 3), claim("A red ball rolls", 2, 4)],
    }
    captions = {
        name: Caption.create(video_id=name, text=name, claims=claims, teacher=TEACHER) for name, claims in told.items()
    }
    twin = Twin.create(
        video_id="v1", other_video_id="v2", relation="chiral", caption="v2",
        differences=[
            Difference(here="a red ball rolls, then a dog barks", there="a dog barks, then a red ball rolls")
        ],
    )  # fmt: skip
    asked = query("the same, but a dog barks last", kind="composed", reference_video_id="v2")
    ordered, unordered = "A red ball rolls. Then a dog barks.", "A dog barks. A red ball rolls."

    async def triplets(unlike: set[tuple[str, str]]) -> Any:
        stage = TripletStage(
            Writer({}, unlike), SAMPLING, TripletSettings(nuances=("composed",)),
            lambda video_id: Unit(video_id, (captions[video_id],)),
        )  # fmt: skip
        return await stage.run(Unit("v1", (make_video("v1"), captions["v1"], asked, twin)))

    output = await triplets({(unordered, ordered)})
    assert not output.records
    assert [(each.reason, each.item) for each in output.dropped if each.reason == "not_apart"] == [
        ("not_apart", asked.query_id)
    ]
    output = await triplets({(unordered, ordered), (ordered, unordered)})
    assert [(each.positive, each.hard_negative) for each in output.records] == [(ordered, unordered)]


@pytest.mark.parametrize("seed", [31, 32, 33])
async def test_triplets_of_unseen_worlds_are_true_and_text_tells_nothing(
    seed: int, worlds: ModuleType, make_video: Callable[..., Video], no_frames: Any
) -> None:
    """A teacher that errs in its counterfactuals, judgments and paraphrases. The world itself says what is true."""
    world = make_world(seed, clips=60, scripts=("latin",))
    teacher = worlds.WorldTeacher(world, seed=seed, writer=0.12, judge=0.05, paraphraser=0.15)
    units = await written_for(world, worlds, make_video, teacher, no_frames)
    stage = CounterfactualStage(
        teacher, [Judge(teacher, SAMPLING)], no_frames, SAMPLING, CounterfactualSettings(), neighbours_of(units)
    )
    turned, _ = await changed(stage, units)
    of_video = defaultdict(list)
    for each in turned:
        of_video[each.source_video_id].append(each)
    triplets: list[Triplet] = []
    dropped: Counter[str] = Counter()
    for video_id, (video, _, caption, queries) in units.items():
        output = await made([video, caption, *queries, *of_video[video_id]], teacher)
        assert output.failure is None
        triplets += output.records
        dropped.update(each.reason for each in output.dropped)
    assert dropped["meaning_changed"] > 10, "the wrong paraphrases are found"
    for nuance in ("temporal", "negation", "facet"):
        some = [each for each in triplets if each.nuance == nuance]
        true = [
            teacher.true_of(each.video_id, each.anchor)
            and teacher.true_of(each.video_id, each.positive)
            and not teacher.true_of(each.video_id, each.hard_negative)
            for each in some
            if each.video_id is not None
        ]
        assert len(true) >= 40 and sum(true) / len(true) >= 0.99, (nuance, sum(true), len(true))
        sides = [Sides(each.id, each.positive, each.hard_negative, each.set_id) for each in some]
        told = audit(sides)
        assert told is not None and told.by_chance
        assert abs(independent(sides) - 0.5) <= told.reach
    clips = {clip.video_id: clip for clip in world.clips}
    edits = [each for each in triplets if each.nuance == "composed"]
    assert len(edits) >= 60 and is_balanced(edits)
    holds = []
    for each in edits:
        shows = {
            name: all(
                answers(clips[each.made_from or ""], Question(text="?", sought=(one,)))
                for one in teacher.told_in(getattr(each, name))
            )
            for name in ("positive", "hard_negative")
        }
        holds.append(shows["positive"] != shows["hard_negative"] and shows["positive"] == (each.video_id is not None))
    assert sum(holds) / len(holds) >= 0.99, (sum(holds), len(holds))


def edit(text: str, edit: str, back: str) -> TurnedReply:
    return TurnedReply(nuance="composed", text=text, again=text, text_again=text, edit=edit, back=back)


def test_captions_of_twins_tell_of_no_single_sign() -> None:
    """An "L" that was read off the side of a door. Where it is what differs, there is no edit."""
    sign, cat = claim('The text "L" can be read', 0, 1), claim("A cat sits", 3, 4)
    dog, bell = claim("A dog barks", 1, 2), claim("A bell rings", 1, 2)
    differs = [Difference(here="a dog barks", there="a bell rings")]
    found = edited_captions([sign, dog, cat], [sign, bell, cat], differs)
    assert found == ("A dog barks. Then a cat sits.", "A bell rings. Then a cat sits.")
    other = claim('The text "K" can be read', 0, 1)
    letters = [Difference(here='the text "L" can be read', there='the text "K" can be read')]
    assert edited_captions([sign, dog], [other, dog], letters) is None


def test_a_part_of_a_caption_quotes_no_single_sign() -> None:
    def parts(*texts: str) -> list[str]:
        claims = [claim(text, at, at + 1.0) for at, text in enumerate(texts)]
        return parts_of(Caption.create(video_id="v1", text="It.", claims=claims, teacher=TEACHER), 8)

    ball, dog = "A red ball rolls over the grass", "A dog barks at the ball"
    assert parts(ball, 'The text "G" can be read', dog) == [f"{ball}.", f"{dog}."], "the other parts stand"
    assert parts(ball, 'The text "7." can be read') == [f"{ball}."]
    assert parts('The text "GO" can be read') == ['The text "GO" can be read.']
    assert parts('The text "汉" can be read') == ['The text "汉" can be read.'], "a word"


async def test_an_edit_of_a_caption_gives_two_triplets(make_video: Any) -> None:
    """Claims that follow each other make a part, which is edited. What the rest of the caption says too, in the order
    of its claims, is no edit."""
    said = ("A red ball rolls", "A dog barks", "A blue car stops", "A white cat sits")
    claims = [claim(text, at, at + 1.0) for at, text in enumerate(said)]
    told = Caption.create(video_id="v1", text=". ".join(said), claims=claims, teacher=TEACHER)
    one, other = "A red ball rolls. Then a dog barks. Then a blue car stops.", "A white cat sits."
    turned = "A green ball rolls. Then a dog barks. Then a blue car stops."
    edits = {
        one: edit(turned, "green in place of red", "red, not green"),
        other: edit("A dog barks.", "another one", "a white cat sits"),
    }
    whole = f"{one} Then a white cat sits."
    apart = both_ways(one, turned) | both_ways(other, "A dog barks.") | both_ways(whole, turned)
    options = TripletSettings(nuances=("composed",))
    output = await made([make_video("v1"), told], Writer({}, apart, edits=edits), options)
    assert by_texts(output.records) == {
        (f"{one} Edit: green in place of red", turned, one),
        (f"{turned} Edit: red, not green", one, turned),
    }
    assert is_balanced(output.records) and {each.nuance for each in output.records} == {"composed"}
    assert {each.positive: each.video_id for each in output.records} == {turned: None, one: "v1"}
    assert all(each.made_from == "v1" and each.family is None for each in output.records)
    assert [(each.reason, each.item) for each in output.dropped] == [("edit_says_nothing", told.caption_id)]
    edits[other] = edit("A dog barks.", "a dog that barks in its place", "a white cat that sits in its place")
    output = await made([make_video("v1"), told], Writer({}, apart, edits=edits), options)
    assert len(output.records) == 2 and [each.reason for each in output.dropped] == ["not_apart"]
    output = await made([make_video("v1"), told], Writer({}, apart, "contrast", edits=edits), options)
    assert not output.records and output.failure is not None and "timeout" in output.failure.reason
