"""The world of the curriculum is what its page says: twins that are twins, questions that part them, no leakage."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks.curriculum.footage import FRAMES, clip
from benchmarks.curriculum.scripted import read
from benchmarks.curriculum.shipped import make_dataset
from benchmarks.curriculum.stories import CHANGES, KINDS, REVERSES, Half, Story, families, questions, sides_of
from benchmarks.curriculum.world import Scale, make_world
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
