"""The world of the curriculum is what its page says: twins that are twins, questions that part them, no leakage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks.curriculum.footage import FRAMES, clip
from benchmarks.curriculum.heldout import pairs_of
from benchmarks.curriculum.seeds import interval
from benchmarks.curriculum.shipped import make_dataset
from benchmarks.curriculum.stories import CHANGES, KINDS, REVERSES, Half, Story, families, questions, sides_of
from benchmarks.curriculum.wordings import means, read, reworded
from benchmarks.curriculum.world import SPLITS, Scale, make_world
from hardcut.data.draw import draw_frames
from hardcut.data.fonts import installed_fonts
from hardcut.publish.blocks import RIDE
from hardcut.report.statistics.sides import Sides, audit

ONE = Half("red", "ball", "right", "ZOO")
TWO = Half("blue", "star", "up")
STORY = Story((ONE, TWO))


def test_a_reverse_reverses_order_and_direction_and_is_its_own_inverse() -> None:
    assert STORY.reverse == Story((Half("blue", "star", "down"), Half("red", "ball", "left", "ZOO")))
    assert STORY.reverse.reverse == STORY


def test_a_twin_shows_the_same_pictures_in_reverse() -> None:
    fonts, (family,) = installed_fonts(), families(5, 1)
    for place in REVERSES:
        assert family[place] == family[place - 1].reverse
        shown = [
            np.stack(list(draw_frames(clip("x", family[at], 5, 0, backwards=at in REVERSES), fonts)))
            for at in (place - 1, place)
        ]
        assert shown[0].shape == (FRAMES, 64, 64, 3)
        assert np.array_equal(shown[0], shown[1][::-1])
        assert not np.array_equal(shown[0], shown[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_is_answered_by_some_of_its_family_and_not_by_all(kind: str) -> None:
    rng = Random(1)
    for family in families(2, 40):
        for asked in questions(family, rng, 3):
            if asked.kind == kind:
                answers = [asked.answered_by(story) for story in family]
                assert any(answers), asked
                assert not all(answers), asked


def test_a_temporal_question_parts_a_clip_from_its_reverse() -> None:
    rng = Random(1)
    for family in families(3, 40):
        for asked in questions(family, rng, 2):
            if asked.kind == "temporal":
                assert not any(asked.answered_by(story) and asked.answered_by(story.reverse) for story in family)


def test_no_story_comes_twice_nor_in_two_splits() -> None:
    train = [story for family in families(0, 50) for story in family]
    test = [story for family in families(1, 20, frozenset(train)) for story in family]
    assert len(set(train)) == len(train) == 400
    assert not set(train) & set(test)
    assert next(iter(families(0, 1))) == tuple(islice(train, 8))


def test_what_is_held_out_is_in_no_other_split(tmp_path: Path) -> None:
    """Pairs of things, and every text of a query, caption or block."""
    world = replace(make_world(tmp_path, Scale((12, 4, 4), (2, 4, 4), 2, held_out=True), 5), blocks=True)
    things = {split: _pairs_of_things(part.stories.values()) for split, part in world.parts.items()}
    texts: dict[str, set[str]] = {
        split: {each.text for each in part.queries.values()} for split, part in world.parts.items()
    }
    for config, column in (("queries", "query"), ("captions", "caption")):
        for split, row in world.rows(config):
            texts[split].add(row[column])
    assert min(map(len, things.values())) > 3 and min(map(len, texts.values())) > 40
    for one, other in combinations(world.parts, 2):
        assert not things[one] & things[other] and not texts[one] & texts[other], (one, other)
    changes = {row["change"] for split, row in world.rows("diagnostic") if split == "validation"}
    assert changes == set(CHANGES), "checkpoints are measured on blocks of every change"


@pytest.mark.parametrize("seed", range(6))
def test_all_but_the_pairs_is_seen_in_training(seed: int) -> None:
    pairs = {split: set(pairs_of(split, seed)) for split in SPLITS}
    assert [len(each) for each in pairs.values()] == [24, 6, 6] and len(set.union(*pairs.values())) == 36
    for split in SPLITS:
        assert len({colours for colours, _ in pairs[split]}) == len({shapes for _, shapes in pairs[split]}) == 6


def _pairs_of_things(stories: Iterable[Story]) -> set[frozenset[tuple[str, str]]]:
    return {frozenset((half.colour, half.shape) for half in story.halves) for story in stories}


@pytest.mark.parametrize("change", CHANGES)
def test_the_sides_of_a_block_are_one_form_and_no_word_leans_to_either(change: str) -> None:
    pairs = []
    for number, family in enumerate(families(4, 120)):
        for place, story in enumerate(family):
            found = sides_of(story, change, Random(f"{number}/{place}"))
            if found is None:
                assert change == "excluded sign" and not any(half.sign for half in story.halves)
                continue
            assert found.answered.answered_by(story) and not found.unanswered.answered_by(story)
            texts = found.answered.text, found.unanswered.text
            assert len({len(text.split()) for text in texts}) == 1 and texts[0] != texts[1]
            pairs.append(Sides(f"{number}/{place}", *texts, str(number)))
    told = audit(pairs)
    assert told is not None and told.by_chance, told


def test_a_text_is_read_back_into_what_it_asks() -> None:
    rng = Random(4)
    for family in families(4, 40):
        for asked in questions(family, rng, 2):
            again = read(asked.text)
            told = (again.wanted, again.ordered, again.at, again.without)
            assert told == (asked.wanted, asked.ordered, asked.at, asked.without), asked


def test_what_run_and_export_make_of_the_world_is_true_of_its_stories(tmp_path: Path) -> None:
    """The chain that ships, with a scripted teacher: each label and each side of a block, by the stories."""
    world = make_world(tmp_path / "videos", Scale((3, 1, 1), (1, 1, 1), 1), 6)
    dataset = make_dataset(world, tmp_path / "shipped")
    stories = {video: story for part in world.parts.values() for video, story in part.stories.items()}
    splits = {video: split for split, part in world.parts.items() for video in part.stories}
    labels, sides, riding = [], [], []
    for split, group in dataset.rows("groups"):
        asked, videos = read(group["query"]), [group["positive"], *group["negatives"]]
        assert split != "train" or {splits[each["video_id"]] for each in videos} == {"train"}
        labels += [asked.answered_by(stories[each["video_id"]]) == bool(each["label"]) for each in videos]
        about = stories[group["positive"]["video_id"]]
        listed = [each["query_id"] for each in group["counterfactuals"]]
        assert len(set(listed)) == len(listed) and group["query_id"] not in listed
        riding.append(sum(not each["answered"] for each in group["counterfactuals"]))
        sides += [read(each["query"]).answered_by(about) == each["answered"] for each in group["counterfactuals"]]
    assert len(labels) > 300 and np.mean(labels) > 0.98, "the teacher is wrong on 1 % of the pairs"
    assert len(sides) > 100 and np.mean(sides) > 0.98
    assert max(riding) <= RIDE and np.mean(riding) > 3, "blocks of all queries about the positive's video"
    changes = {row["change"] for _, row in dataset.rows("diagnostic")}
    assert changes == {"reversed", "negated", "facet_changed"}


@pytest.mark.parametrize("kind", KINDS)
def test_other_words_ask_for_the_same(kind: str) -> None:
    rng = Random(4)
    for family in families(6, 30):
        for asked in questions(family, rng, 3):
            again = read(reworded(asked))
            assert reworded(asked) != asked.text and means(again) == means(read(asked.text))
            assert [again.answered_by(story) for story in family] == [asked.answered_by(story) for story in family]


def test_the_interval_over_seeds_is_students() -> None:
    """Five values of mean 3 and variance 2.5: half of it is 2.776 (t of 4 degrees) times the root of .5."""
    low, high = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (low, high) == (pytest.approx(3 - 1.9632, abs=1e-3), pytest.approx(3 + 1.9632, abs=1e-3))
