"""The reader of the benchmark takes nothing for true or false that the world's truth cannot tell."""

from __future__ import annotations

from benchmarks.triplet_truth import _verdict, caption_is_true, reading
from hardcut.data.model import Clip, Frames, Thing, Words
from hardcut.data.world import make_world

ALL = Frames(first=0, end=20)


def clip() -> Clip:
    """A clip with an orange boat, which has a white sail, and with small print."""
    boat = Thing(
        shape="boat", colour="orange", size=0.3, visible=ALL, moving=ALL, start=(0.9, 0.5), end=(0.1, 0.5)
    )  # fmt: skip
    ball = boat.model_copy(update={"shape": "ball", "colour": "blue"})
    plate = {"script": "latin", "centre": (0.5, 0.2), "ink": "white", "plate": "navy", "shown": ALL}
    print_ = Words.model_validate({"text": "CHILDREN UNDER SIX ENTER FREE", "height_px": 8, **plate})
    sign = Words.model_validate({"text": "CRYSTAL", "height_px": 30, **plate})
    made = make_world(1, clips=3, scripts=("latin",)).clips[0]
    return made.model_copy(update={"things": (boat, ball), "words": (sign, print_), "speech": ()})


def test_a_thing_of_two_colours_is_not_read() -> None:
    moves = "thing moves from right to left"
    assert caption_is_true(clip(), f"A blue {moves}.") is True
    assert caption_is_true(clip(), f"A red {moves}.") is False
    assert caption_is_true(clip(), f"A blue {moves}. A white and orange {moves} as it leaves.") is None
    assert reading(f"a white and orange {moves}") is None
    assert reading(f"a blue {moves} and a red {moves}") is not None, "two things, of a colour each"
    assert reading('the screen shows "black and white thing moves from right to left"') is not None, "it is read"


def test_misread_fine_print_is_fine_print() -> None:
    def verdict(denied: str) -> str:
        one, other = (f'"crystal" written screen but screen never shows "{text}"' for text in ("climate", denied))
        row = {"nuance": "negation", "anchor": one, "positive": one, "hard_negative": other, "video_id": None}
        return _verdict(row, clip(), {})

    assert verdict("children under six enter free") == verdict("children under six entor free") == "fine_print"
    assert verdict("crystal") == "right" and verdict("chilled wine") == "wrong"
