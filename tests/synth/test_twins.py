"""Twins: what is read in order of time tells them apart, and the stage finds all of them and no others."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("rapidocr", reason='needs pip install "hardcut[ocr]"')
pytest.importorskip("espeakng_loader", reason='worlds are rendered with pip install "hardcut[render]"')
pytest.importorskip("imagehash", reason='needs pip install "hardcut[vision]"')

from hardcut.data.render import render_world
from hardcut.data.world import make_world
from hardcut.engine.progress import NullProgress
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.carry_out import Job, carry_out
from hardcut.schemas.base import Record
from hardcut.schemas.copies import Copy, Group
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Caption, Claim, Evidence, Span, TeacherRef
from hardcut.schemas.settings import Settings
from hardcut.schemas.text.direction import axis_directions, split_directions
from hardcut.schemas.text.words import words
from hardcut.schemas.twin import Twin
from hardcut.synth.candidates.video_events import observed_events
from hardcut.synth.twins import TwinRelation, TwinStage, VideoTelling, twin_relation

R = TypeVar("R", bound=Record)
Truth = dict[str, Any]


class World:
    """A rendered world, run up to its twins, with its truth by video."""

    def __init__(self, folder: Path) -> None:
        world = make_world(59, clips=14, families=("order", "lift", "ball", "passers", "door", "stack", "recipe"))
        render_world(world, folder / "world")
        lines = (folder / "world" / "truth.jsonl").read_text(encoding="utf-8").splitlines()
        self.truth: dict[str, Truth] = {truth["video_id"]: truth for truth in map(json.loads, lines)}
        self.run = folder / "run"
        job = Job(folder / "world" / "videos", self.run, Settings(), Cache(folder / "cache"), until="twins")
        asyncio.run(carry_out(job, NullProgress()))

    def read(self, kind: type[R]) -> list[R]:
        return list(read_records(self.run / kind.FILE, kind))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("twins"))


def things(truth: Truth, *fields: str) -> list[list[str]]:
    """What happens in a clip, in order of time: things that move, legible texts, sentences."""
    moving = [each for each in truth["objects"] if each["direction"] != "still"]
    found = [(each["moving"]["start"], [each[field] for field in fields]) for each in moving]
    found += [(each["span"]["start"], ["text", each["text"]]) for each in truth["texts"] if each["legible"]]
    found += [(each["span"]["start"], ["speech", each["text"]]) for each in truth["speech"]]
    return [told for _, told in sorted(found, key=lambda entry: (entry[0], entry[1]))]


def chiral(one: Truth, other: Truth) -> bool:
    """By the truth alone: the same things happen, in another order or the other way."""
    same = sorted(things(one, "shape", "colour")) == sorted(things(other, "shape", "colour"))
    return same and things(one, "shape", "colour", "direction") != things(other, "shape", "colour", "direction")


def pairs_of(twins: list[Twin], relation: str) -> set[tuple[str, str]]:
    return {(twin.video_id, twin.other_video_id) for twin in twins if twin.relation == relation}


def test_twins_in_text_are_told_apart_all_of_them(world: World) -> None:
    read: dict[str, list[str]] = {}
    lines = [line for line in world.read(Evidence) if line.kind == "ocr" and line.span is not None]
    for line in sorted(lines, key=lambda line: line.span.start if line.span else 0.0):
        read.setdefault(line.video_id, []).append(line.text)
    twins = [
        (video_id, other["video_id"])
        for video_id, truth in world.truth.items()
        for other in truth["relations"]
        if other["kind"] == "chiral_twin" and truth["texts"]
    ]
    assert len(twins) >= 4
    for one, other in twins:
        assert sorted(read[one]) and read[one] != read[other], (one, other)


def test_all_chiral_twins_are_found_and_none_is_wrong(world: World) -> None:
    wanted = {
        pair
        for one, other in combinations(world.truth, 2)
        if chiral(world.truth[one], world.truth[other])
        for pair in ((one, other), (other, one))
    }
    rendered = {
        (video_id, relation["video_id"])
        for video_id, truth in world.truth.items()
        for relation in truth["relations"]
        if relation["kind"] == "chiral_twin"
    }
    found = pairs_of(world.read(Twin), "chiral")
    print(f"chiral twins: {len(wanted)} in truth, {len(rendered)} rendered in reverse, {len(found)} found")
    assert len(rendered) == 10 and rendered < wanted, "and what passes in another order is one too"
    assert found == {pair for pair in wanted if "door" not in pair[0]}, (
        "what turns on a hinge goes nowhere, and is not told"
    )


def test_what_differs_is_said_and_the_other_caption_is_at_hand(world: World) -> None:
    captions = {caption.video_id: caption.text for caption in world.read(Caption)}
    twins = world.read(Twin)
    assert twins and all(twin.caption == captions[twin.other_video_id] for twin in twins)
    there = {(twin.video_id, twin.other_video_id): twin for twin in twins}
    for twin in twins:
        back = there[twin.other_video_id, twin.video_id]
        assert [(d.here, d.there) for d in twin.differences] == [(d.there, d.here) for d in back.differences]
    [ball] = [twin for twin in twins if twin.video_id.endswith("ball-01-a")]
    [difference] = [d for d in ball.differences if "small" not in str(d.here)]
    assert {"left to right", "right to left"} == {
        str(side).split("from ")[1][:13] for side in (difference.here, difference.there)
    }


class Records:
    """A reader over records in memory."""

    def __init__(self, *records: Record) -> None:
        self._of: dict[type[Record], dict[str, Record]] = {}
        self._about: dict[tuple[type[Record], str], list[Any]] = {}
        for record in sorted(records, key=lambda record: record.id):
            self._of.setdefault(type(record), {})[record.id] = record
            self._about.setdefault((type(record), record.about), []).append(record)

    def all(self, kind: type[R]) -> Iterator[R]:
        return iter(self._of.get(kind, {}).values())  # type: ignore[arg-type]

    def get(self, kind: type[R], id: str) -> R | None:
        return self._of.get(kind, {}).get(id)  # type: ignore[return-value]

    def about(self, kind: type[R], subject: str) -> list[R]:
        return self._about.get((kind, subject), [])


def told(video_id: str, *texts: str, kind: str = "ocr", confidence: float = 0.95) -> list[Record]:
    """Evidence in order of time, a second each, and a caption of it."""
    lines = [
        Evidence.create(
            video_id=video_id,
            kind=kind,
            text=text,
            span=Span(start=at, end=at + 1),
            confidence=confidence,
            extractor="x",
        )
        for at, text in enumerate(texts)
    ]
    claims = tuple(Claim(text=line.text, span=line.span, evidence_ids=(line.evidence_id,)) for line in lines)
    caption = ", then ".join(texts)
    return [
        *lines,
        Caption.create(video_id=video_id, text=caption, claims=claims, teacher=TeacherRef(backend="x", model="")),
    ]


def relations(*records: Record) -> dict[tuple[str, str], str]:
    made = [twin for _, output in TwinStage().run(Records(*records)) for twin in output.records]
    return {
        (t.video_id, t.other_video_id): t.relation
        for t in made
        if isinstance(t, Twin) and t.video_id < t.other_video_id
    }


BREAD = ("KNEAD THE DOUGH", "SIFT THE FLOUR", "GRATE THE CHEESE")


@pytest.mark.parametrize(
    "other, relation",
    [
        ((BREAD[1], BREAD[0], BREAD[2]), "chiral"),
        ((BREAD[0], BREAD[1], "CHOP THE ONIONS"), "edit"),
        (BREAD, None),
        ((BREAD[1], BREAD[0], "CHOP THE ONIONS"), None),
        (BREAD[:2], None),
        ((BREAD[0], BREAD[1], "GRATE THE CHEESF"), None),
        (("PAGE 1", "PAGE 2", "PAGE 3"), None),
    ],
    ids=["order", "one step", "the same", "both", "one is missing", "misread", "others"],
)
def test_what_makes_a_twin(make_video: Any, other: tuple[str, ...], relation: str | None) -> None:
    records = [make_video("a"), make_video("b"), *told("a", *BREAD), *told("b", *other)]
    assert relations(*records) == ({("a", "b"): relation} if relation else {})


def test_figures_are_no_slips_and_generic_movement_is_no_twin(make_video: Any) -> None:
    videos = [make_video("a"), make_video("b")]
    assert relations(*videos, *told("a", *BREAD, "STEP 7"), *told("b", *BREAD, "STEP 8")) == {("a", "b"): "edit"}
    one, other = "a grey thing moves upwards", "a grey thing moves downwards"
    assert relations(*videos, *told("a", one, kind="motion"), *told("b", other, kind="motion")) == {}


@pytest.mark.parametrize(
    "one, other, share, relation",
    [
        ("a red thing moves upwards", "a blue thing moves upwards", 0.9, "edit"),
        ("a red thing moves upwards", "a blue thing moves upwards", 0.4, None),
        ("a grey thing moves upwards", "an orange and brown thing moves upwards", 0.9, None),
    ],
    ids=["flat colours", "colours of a part", "shades"],
)
def test_colours_of_what_moves_make_a_twin_where_they_are_plain(
    make_video: Any, one: str, other: str, share: float, relation: str | None
) -> None:
    def moving(video_id: str, text: str) -> list[Record]:
        read, moved = told(video_id, *BREAD)[:3], told(video_id, text, kind="motion")[0]
        assert isinstance(moved, Evidence)
        claim = Claim(text=text, span=moved.span, evidence_ids=(moved.evidence_id,))
        teacher = TeacherRef(backend="x", model="")
        caption = Caption.create(video_id=video_id, text=text, claims=(claim,), teacher=teacher)
        return [*read, moved.model_copy(update={"support": {"colour": share}}), caption]

    found = relations(make_video("a"), make_video("b"), *moving("a", one), *moving("b", other))
    assert found == ({("a", "b"): relation} if relation else {})


def test_copies_are_no_twins(make_video: Any) -> None:
    turned = (BREAD[1], BREAD[0], BREAD[2])
    one, same = make_video("a"), make_video("b", sha256=make_video("a").sha256)
    assert relations(one, same, *told("a", *BREAD), *told("b", *turned)) == {}
    groups = [Group(video_id=name, group_id="a", size=2) for name in "ab"]
    trimmed, replaced = BREAD[1:], (*BREAD[:2], "CHOP THE ONIONS")
    for texts in (BREAD, trimmed, replaced):
        assert relations(one, make_video("b"), *groups, *told("a", *BREAD), *told("b", *texts)) == {}
    found = relations(one, make_video("b"), *groups, *told("a", *BREAD), *told("b", *turned))
    assert found == {("a", "b"): "chiral"}, "a copy does not change the order of what is read"


def test_a_mirrored_copy_is_a_chiral_twin(make_video: Any) -> None:
    """So little is told of each that only the pictures can say that they are of one scene."""
    one, other = (
        Evidence.create(
            video_id=video_id, kind="motion", text=f"a red thing moves from {way}", span=Span(start=0, end=1),
            confidence=0.9, extractor="opencv",
        )
        for video_id, way in (("a", "left to right"), ("b", "right to left"))
    )  # fmt: skip
    captions = [
        Caption.create(video_id=v, text="A thing moves.", teacher=TeacherRef(backend="x", model="")) for v in "ab"
    ]
    videos = [make_video(name) for name in "ab"]
    groups = [
        Group(video_id=name, group_id=name, size=1, copies=(Copy(video_id=like, changes=("mirrored",)),))
        for name, like in ("ab", "ba")
    ]
    assert relations(*videos, one, other, *captions) == {}
    assert relations(*videos, one, other, *captions, *groups) == {("a", "b"): "chiral"}


def test_captions_find_twins_where_evidence_says_nothing(make_video: Any) -> None:
    def caption(video_id: str, *claims: str) -> Caption:
        found = tuple(Claim(text=text, span=Span(start=at, end=at + 1)) for at, text in enumerate(claims))
        teacher = TeacherRef(backend="x", model="")
        return Caption.create(video_id=video_id, text=" ".join(claims), claims=found, teacher=teacher)

    one = caption("a", "A woman opens a wooden cupboard.", "She puts a cup onto the shelf.")
    other = caption("b", "A woman closes a wooden cupboard.", "She puts a cup onto the shelf.")
    third = caption("c", "A woman paints a wooden cupboard.", "She puts a cup onto the shelf.")
    found = relations(*(make_video(name) for name in "abc"), one, other, third)
    assert found[("a", "b")] == "chiral" and set(found.values()) == {"chiral"}
    said = told("a", "Welcome to my kitchen", kind="speech") + told("b", "Hello from the workshop", kind="speech")
    lines = [record for record in said if isinstance(record, Evidence)]
    assert relations(*(make_video(name) for name in "ab"), one, other, *lines) == {}


def test_directions() -> None:
    assert split_directions(words("opens the door")).words == split_directions(words("closes the door")).words
    assert axis_directions(words("it moves from left to right")) == {"lefttoright": 1}
    assert axis_directions(words("it moves from right to left")) == {"lefttoright": -1}
    assert axis_directions(words("up and down")) == {}
    assert observed_events(told("a", "7", "日")[:2]) == ()  # type: ignore[arg-type]


def test_a_large_collection_is_not_compared_pair_by_pair(make_video: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that have something in common are compared, and nobody else: twice the videos take twice as many."""
    compared: list[str] = []

    def counted(one: VideoTelling, other: VideoTelling, look_alike: bool | None) -> TwinRelation | None:
        compared.append(one.video_id)
        return twin_relation(one, other, look_alike)

    monkeypatch.setattr("hardcut.synth.twins.twin_relation", counted)
    rng = random.Random(3)
    vocabulary = [f"{a}{b}{c}" for a in ("tra", "mel", "kor", "bis") for b in "aeiou" for c in ("ntel", "sker", "rdon")]
    taken: list[int] = []
    for count in (600, 1200):
        records: list[Record] = []
        for number in range(0, count, 2):
            texts = [" ".join(rng.sample(vocabulary, 2)) for _ in range(3)]
            records += [make_video(f"v{number:05}"), make_video(f"v{number + 1:05}")]
            records += told(f"v{number:05}", *texts) + told(f"v{number + 1:05}", *reversed(texts))
        # what thousands share brings nobody together
        records += [line for n in range(count) for line in told(f"v{n:05}", "SUBSCRIBE")[:1]]
        compared.clear()
        found = relations(*records)
        taken.append(len(compared))
        assert len(found) >= count // 2 and set(found.values()) <= {"chiral", "edit"}
        assert all((f"v{n:05}", f"v{n + 1:05}") in found for n in range(0, count, 2))
    assert taken == [300, 600], "a pair each"
