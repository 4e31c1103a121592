"""The reader of the benchmark tells true from false by how a clip is drawn, and says where it cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.clip_truth import _in_share, could_be_called, is_there, shown
from benchmarks.triplet_truth import Asked, _verdict, caption_holds, holds, reading
from hardcut.data.model import Clip, Frames, Scene, Thing, Words
from hardcut.data.world import make_world

ALL = Frames(first=0, end=60)
LATER = Frames(first=40, end=60)


def clip(**changes: Any) -> Clip:
    """A clip of a meadow with clouds, in which an orange boat with a white sail goes to the left and out, and then a
    blue ball; with a sign and small print."""
    boat = Thing(
        shape="boat", colour="orange", size=0.3, visible=ALL, moving=Frames(first=5, end=30), start=(0.9, 0.5),
        end=(-0.2, 0.5),
    )  # fmt: skip
    ball = boat.model_copy(update={"shape": "ball", "colour": "blue", "moving": LATER, "end": (0.5, 0.5)})
    plate = {"script": "latin", "centre": (0.5, 0.2), "ink": "white", "plate": "navy", "shown": LATER}
    print_ = Words.model_validate({"text": "CHILDREN UNDER SIX ENTER FREE", "height_px": 8, **plate})
    sign = Words.model_validate({"text": "CRYSTAL", "height_px": 30, **plate})
    made = make_world(1, clips=3, scripts=("latin",)).clips[0]
    scene = Scene(backdrop="meadow", seed=3, frames=ALL)
    given = {"scenes": (scene,), "things": (boat, ball), "words": (sign, print_), "speech": (), "backwards": False}
    return made.model_copy(update={**given, **changes})


@pytest.mark.parametrize(
    ("clause", "there"),
    [
        ("an orange thing moves from right to left", True),
        ("a white and orange thing moves from right to left as it leaves", True),
        ("purple and orange thing moves right to left", False),
        ("an orange thing moves from left to right", False),
        ("a blue thing moves from right to left as it leaves", False),
        ("a small orange thing moves from right to left", False),
        ("a white thing moves from left to right", True),  # a cloud
        ("a red thing moves from left to right", False),
        ("the camera stands still", True),
        ("the camera pans to the left", False),
        ("the picture cuts at 1 s", False),
        ('the text "crystal" appears', True),
        ('someone says "crystal"', False),
        ('a sign reads "children under six"', True),
        ('a sign reads "children under sex"', False),
        ("mostly green", True),
        ("mostly green, with purple and red", False),
        ("fire engine", False),
    ],
)
def test_what_is_there_is_read_off_the_drawing(clause: str, there: bool) -> None:
    found = shown(clip(), clause)
    assert found is not None and is_there(found) is there


def test_played_in_reverse_clouds_go_the_other_way() -> None:
    found = [shown(clip(backwards=turned), "a white thing moves from left to right") for turned in (False, True)]
    assert [is_there(each or ()) for each in found] == [True, False]


def test_what_is_not_understood_is_not_read() -> None:
    assert shown(clip(), "a man opens a door") is None
    assert shown(clip(), "a beige thing moves upwards") is None
    assert caption_holds(clip(), "A man opens a door. The camera stands still.") == "unread"


def test_a_text_is_taken_apart_outside_of_quotation_marks() -> None:
    moves = "thing moves from right to left"
    assert reading(f"a white and orange {moves} and a red {moves}") == Asked(
        (f"a white and orange {moves}", f"a red {moves}")
    )
    assert reading(f"purple and white {moves}") == Asked((f"purple and white {moves}",))
    said = '"black and the screen shows it before we but never go" is said'
    assert reading(f'{said} but nobody says "no"') == Asked((said,), denied=('somebody says "no"',))
    assert reading("a after b") == Asked(("b", "a"), "before")


def test_order_and_denial_decide() -> None:
    boat, ball = "an orange thing moves from right to left", "a blue thing moves from right to left"

    def told(text: str) -> object:
        asked = reading(text)
        assert asked is not None
        return holds(clip(), asked)

    assert told(f"{boat} before {ball}") is True and told(f"{ball} and then {boat}") is False
    assert told(f"{ball} after {boat}") is True and told(f"{ball} but never {boat}") is False
    assert (
        told(f'{ball} while a sign reads "crystal"') is True and told(f'{boat} while a sign reads "crystal"') is False
    )
    assert told(f"{boat} while the camera stands still") is True
    assert told(f'{ball} but the screen never shows "exit"') is True
    assert caption_holds(clip(), f"{boat.capitalize()}. Then {ball}.") is True
    assert caption_holds(clip(), f"{ball.capitalize()}. Then {boat}.") is False


def test_what_two_people_would_call_otherwise_is_told_to_be_open() -> None:
    """Of eight pixels in a hundred one person says that the picture has the colour, and another one does not."""
    pixels = np.full((1000, 3), (16, 138, 66), np.uint8)
    pixels[:80] = (208, 36, 40)
    shares = could_be_called(pixels)
    assert shares["green"] == pytest.approx(0.92) and shares["red"] == pytest.approx(0.08)
    assert (
        _in_share(shares["green"]) is True and _in_share(shares["red"]) is None and _in_share(shares["blue"]) is False
    )
    assert could_be_called(np.array([[142, 130, 142]], np.uint8))["grey"] == 1.0, "a greyish purple"


def test_a_misread_letter_makes_a_triplet_wrong() -> None:
    def verdict(denied: str) -> str:
        one, other = (f'"crystal" written screen but screen never shows "{text}"' for text in ("climate", denied))
        row = {"nuance": "negation", "anchor": one, "positive": one, "hard_negative": other, "video_id": None}
        return _verdict(row, clip(), {})

    assert verdict("crystal") == verdict("children under six enter free") == "right"
    assert verdict("children under six entor free") == verdict("chilled wine") == "wrong"


def test_both_captions_of_an_edit_are_held_against_the_clip() -> None:
    def verdict(given: str, written: str) -> str:
        row = {
            "nuance": "composed",
            "positive": written,
            "hard_negative": given,
            "positive_source": {"kind": "written"},
        }
        return _verdict(row, clip(), {})

    given = "Mostly green, with grey. An orange thing moves from right to left."
    assert verdict(given, given.replace("An orange", "A purple")) == "right"
    assert verdict(given, given.replace("An orange", "A white")) == "wrong", "the sail"
    assert verdict(given.replace("orange", "red"), given.replace("An orange", "A purple")) == "wrong"
    assert verdict("It rains.", given) == "unread"
