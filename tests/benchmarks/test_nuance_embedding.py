"""What the figures of nuances mean: all right for scores that know the truth, chance for those that count words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curriculum.stories import Half, Story
from benchmarks.curriculum.world import Part, Scale, make_world
from benchmarks.nuance_embedding import Some, asked_of, by_words, denials, edits, figures

QUERY = "a red ball and a blue star , not moves left"


def test_truth_has_all_right_and_words_have_not(tmp_path: Path) -> None:
    part = make_world(tmp_path, Scale((1, 1, 4), (1, 1, 4), 1), 3).parts["test"]
    texts, stories = asked_of(part), list(part.stories.values())
    asked = {each.text: each for each in part.queries.values()}
    edited = {anchor: part.stories[video] for anchor, video, _ in edits(part)}
    assert edited and all(part.stories[one] != part.stories[other] for _, one, other in edits(part))
    truth = np.array(
        [
            [float(asked[text].answered_by(story) if text in asked else edited.get(text) == story) for story in stories]
            for text in texts
        ]
    )
    found = figures(part, truth, texts)
    assert found["chiral"] == found["negated"] == found["composed"] == found["plain_ndcg@10"] == 1.0
    assert found["negatives_with_a_part"] < 1.0
    words = figures(part, by_words(part, texts), texts)
    assert words["same form"]["order"] == 0.5 and words["negated"] < 0.5
    assert words["chiral"] < 1.0, "words tell directions, and not order"


def test_denials_are_counted_by_the_first_negative_that_shows_what_is_denied() -> None:
    ball, star = Half("red", "ball", "left", "ZOO"), Half("blue", "star", "up")
    stories = {
        "a": Story((Half("red", "ball", "down"), star)),
        "shows": Story((ball, star)),
        "other": Story((Half("red", "car", "left"), star)),
    }
    part = Part(stories, {}, {}, {}, {})

    def told(denied: str, *negatives: str) -> dict[str, int]:
        row = {"query": f"a red ball and a blue star{denied}", "negatives": [{"video_id": each} for each in negatives]}
        return denials(part, [row])

    names = ("groups", "in the collection", "among the negatives", "first")
    assert told(" , not moves left", "shows", "other") == dict(zip(names, (1, 1, 1, 1), strict=True))
    assert told(" , not under ZOO", "other", "shows") == dict(zip(names, (1, 1, 1, 0), strict=True))
    assert told(" , not moves left", "other", "other") == dict(zip(names, (1, 1, 0, 0), strict=True))
    assert told(" , not moves right", "other") == dict(zip(names, (1, 0, 0, 0), strict=True))
    assert told("", "shows") == dict.fromkeys(names, 0)


def test_every_group_whose_first_negative_shows_what_is_denied_is_trained_on() -> None:
    ball, star = Half("red", "ball", "left"), Half("blue", "star", "up")
    stories = {"shows": Story((ball, star)), "other": Story((Half("red", "ball", "right"), star))}

    class Given:
        configs = ("groups",)

        def rows(self, config: str) -> Iterator[tuple[str, dict[str, Any]]]:
            for number, first in enumerate(["shows", "other"] * 50):
                negatives = [{"video_id": first}, {"video_id": "shows"}]
                yield "train", {"group_id": f"{number}", "query": QUERY, "negatives": negatives}
            yield "validation", {"group_id": "v", "query": QUERY, "negatives": [{"video_id": "shows"}]}

    some = Some(Given(), {"groups": 4}, stories)  # type: ignore[arg-type]
    first = Counter(row["negatives"][0]["video_id"] for _, row in some.rows("groups"))
    assert first["shows"] == 50 and 5 < first["other"] < 25
