"""Queries, judgments and the first stage: each follows from the truth, read here a second time and in another way."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from hardcut.data.model import Sought, World
from hardcut.data.render import judgment_files
from hardcut.data.truth import answers
from hardcut.data.world import make_world

Truth = dict[str, Any]


def shown(truth: Truth, text: str) -> list[float]:
    """When words begin to be shown, by a plain search in the legible texts."""
    return [t["span"]["start"] for t in truth["texts"] if t["legible"] and text.lower() in t["text"].lower()]


def said(truth: Truth, text: str) -> list[float]:
    return [s["span"]["start"] for s in truth["speech"] if text.lower() in s["text"].lower()]


def moved(truth: Truth, colour: str, shape: str, *ways: str) -> list[float]:
    return [
        thing["moving"]["start"]
        for thing in truth["objects"]
        if (thing["colour"], thing["shape"]) == (colour, shape)
        and thing["direction"] in (ways or ("left to right", "right to left"))
    ]


def one_after_another(*moments: list[float]) -> bool:
    return all(moments) and all(min(a) < max(b) for a, b in pairwise(moments))


def floors(truth: Truth, first: str, last: str) -> bool:
    step = 1 if int(last) > int(first) else -1
    return one_after_another(*(shown(truth, f"floor {n}") for n in range(int(first), int(last) + step, step)))


def at_once(truth: Truth, thing: str, headline: str) -> bool:
    texts = [t["span"] for t in truth["texts"] if t["legible"] and t["text"] == headline]
    speech = [s["span"] for s in truth["speech"] if thing in s["text"]]
    return any(t["start"] <= s["start"] and s["end"] <= t["end"] for t in texts for s in speech)


RULES: dict[str, Callable[..., bool]] = {
    r"A (\w+) ball rolls across the grass from (.+)": lambda t, colour, way: bool(moved(t, colour, "ball", way)),
    r"The (\w+) door (opens|closes)": lambda t, colour, way: bool(moved(t, colour, "door", way)),
    r"A tower of blocks is built up: first the (\w+) block, then the (\w+) one, then the (\w+) one": (
        lambda t, *colours: one_after_another(*(moved(t, colour, "block", "downwards") for colour in colours))
    ),
    r"A tower of blocks is taken down, the (\w+) block first and the (\w+) one last": lambda t, first, last: (
        one_after_another(moved(t, first, "block", "upwards"), moved(t, last, "block", "upwards"))
        and len([thing for thing in t["objects"] if thing["shape"] == "block"]) == 3
    ),
    r"First a (\w+) (\w+) passes, and after it a (\w+) (\w+)": lambda t, c1, s1, c2, s2: one_after_another(
        moved(t, c1, s1), moved(t, c2, s2)
    ),
    r"A lift goes (?:up|down) from floor (\d+) to floor (\d+)": floors,
    r"The sign says (\w+) at first and (\w+) later": lambda t, a, b: one_after_another(shown(t, a), shown(t, b)),
    r"A street sign with the \w+ word (\w+) \(\w+\), above the name (.+)": lambda t, word, name: bool(
        shown(t, word) and shown(t, name)
    ),
    r"A poster for the (\w+) (\w+)": lambda t, a, b: bool(shown(t, a) and shown(t, b)),
    r"The word (.+) flashes up briefly on a poster for the (\w+)": lambda t, flash, noun: (
        any(x["text"] == flash and x["span"]["end"] - x["span"]["start"] < 1 for x in t["texts"])
        and bool(shown(t, noun))
    ),
    r"A talk that begins with the (\w+) and comes to the (\w+) later": lambda t, a, b: one_after_another(
        said(t, a), said(t, b)
    ),
    r"A talk about the (\w+) that never mentions the (\w+)": lambda t, a, b: bool(said(t, a)) and not said(t, b),
    r"The slide (\w+) is on the screen before the speaker gets to the (\w+)": lambda t, slide, topic: one_after_another(
        shown(t, slide), said(t, topic)
    ),
    r"The launch of the boat (\w+)": lambda t, name: bool(shown(t, name)) and (t["event"] or "").startswith("launch-"),
    r"A voice wishes the (\w+) good luck from (\w+)": lambda t, name, town: bool(
        shown(t, name) and said(t, f"good luck from all of {town}")
    ),
    r"The (\w+), a boat with a (\w+) hull, sails from (.+)": lambda t, name, colour, way: bool(
        shown(t, name) and moved(t, colour, "boat", way)
    ),
    r"News in which the headline (.+) comes before (.+)": lambda t, a, b: one_after_another(shown(t, a), shown(t, b)),
    r"News that reports (.+) first and (.+) afterwards": lambda t, a, b: one_after_another(shown(t, a), shown(t, b)),
    r"The newsreader announces the (\w+) while the headline (.+) is on the screen": at_once,
    r"A recipe that says (.+) first and (.+) after that": lambda t, a, b: one_after_another(shown(t, a), shown(t, b)),
    r"Cooking (\w+) without the step (.+)": lambda t, dish, step: bool(shown(t, dish)) and not shown(t, step),
    r"A recipe for \w+ that has (.+) before (.+)": lambda t, a, b: one_after_another(shown(t, a), shown(t, b)),
}


def by_the_rules(query: str, truths: list[Truth]) -> set[str]:
    """The videos that answer a query, out of its wording alone."""
    for pattern, holds in RULES.items():
        if match := re.fullmatch(pattern, query):
            return {truth["video_id"] for truth in truths if holds(truth, *match.groups())}
    raise AssertionError(f"no rule for {query!r}")


def qrels_of(lines: list[str]) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in lines:
        qid, _, video_id, grade = line.split()
        qrels[qid][video_id] = int(grade)
    return qrels


@pytest.mark.parametrize(("seed", "clips"), [(7, 25), (23, 25), (4, 110)])
def test_the_relevant_videos_are_exactly_those_that_the_truth_makes_so(seed: int, clips: int) -> None:
    files = judgment_files(make_world(seed, clips))
    truths = [json.loads(line) for line in files["truth.jsonl"]]
    relations = {t["video_id"]: {r["video_id"]: r["kind"] for r in t["relations"]} for t in truths}
    qrels = qrels_of(files["qrels.txt"])
    queries = dict(line.split("\t") for line in files["queries.tsv"])
    assert qrels.keys() == queries.keys()
    for qid, text in queries.items():
        grades = qrels[qid]
        full = {video_id for video_id, grade in grades.items() if grade == 2}
        assert full == by_the_rules(text, truths), text
        assert grades.keys() <= relations.keys()
        for video_id in (v for v, grade in grades.items() if grade == 1):
            kinds = {relations[video_id].get(other) for other in full}
            assert kinds & {"near_duplicate", "same_event"}, f"{text}: {video_id}"
        for video_id in full:
            twins = {other for other, kind in relations[video_id].items() if kind == "chiral_twin"}
            assert twins <= grades.keys(), f"{text}: the twin of {video_id} is not judged"


def test_a_twin_is_a_negative_and_a_copy_is_not() -> None:
    files = judgment_files(make_world(7))
    queries = dict(line.split("\t") for line in files["queries.tsv"])
    qrels = {queries[qid]: grades for qid, grades in qrels_of(files["qrels.txt"]).items()}
    for text, grades in qrels.items():
        if "ball rolls" in text or "lift goes" in text:
            assert sorted(grades.values()) == [0, 2], text
        if "comes before" in text:
            assert sorted(grades.values()) == [2, 2, 2], text
        if "afterwards" in text:
            assert sorted(grades.values()) == [1, 2, 2], text


def test_the_first_stage_ranks_every_query_and_leaves_room() -> None:
    ir_measures = pytest.importorskip("ir_measures", reason="measuring needs hardcut[eval]")
    files = judgment_files(make_world(7))
    run: dict[str, dict[str, float]] = defaultdict(dict)
    for line in files["first_stage.trec"]:
        qid, _, video_id, rank, score, _ = line.split()
        assert int(rank) == len(run[qid]) + 1
        run[qid][video_id] = float(score)
    qrels = qrels_of(files["qrels.txt"])
    assert run.keys() == qrels.keys()
    measured = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)
    assert 0.4 <= measured[ir_measures.nDCG @ 10] <= 0.7


def test_a_world_follows_from_its_seed_and_grows_at_its_end() -> None:
    assert make_world(7) == make_world(7)
    assert {c.video_id: c.words for c in make_world(7).clips} != {c.video_id: c.words for c in make_world(8).clips}
    small, large = make_world(7, 25), make_world(7, 60)
    assert len(large.clips) == 60
    in_large = {clip.video_id: clip for clip in large.clips}
    assert all(in_large[clip.video_id] == clip for clip in small.clips)


def test_illegible_words_answer_no_query() -> None:
    world: World = make_world(7)
    poster = next(clip for clip in world.clips if "poster" in clip.video_id)
    pale = [words for words in poster.words if not words.legible]
    assert len(pale) == 2
    for words in pale:
        question = world.questions[0].model_copy(update={"sought": (Sought(what="words", text=words.text),)})
        assert not answers(poster, question)


def test_what_is_denied_is_absent_even_in_small_print() -> None:
    """It cannot be asked for, and nobody can say either that the clip never shows it."""
    world: World = make_world(7)
    poster = next(clip for clip in world.clips if "poster" in clip.video_id)
    shown = Sought(what="words", text=next(words.text for words in poster.words if words.legible))
    small = Sought(what="words", text=next(words.text for words in poster.words if not words.legible))
    absent = Sought(what="words", text="nobody wrote this")
    asked = world.questions[0].model_copy(update={"sought": (shown,), "without": (absent,)})
    assert answers(poster, asked)
    assert not answers(poster, asked.model_copy(update={"without": (small,)}))
