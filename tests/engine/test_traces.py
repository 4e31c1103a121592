"""What tells that a text is about a video that is to be forgotten, and what tells nothing."""

from __future__ import annotations

import json

import pytest

from hardcut.engine.traces import Traces

SHORT = Traces({"1", "1.mp4"}, frozenset({"q_abc"}), frozenset({"the bridge reopens today"}))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"number": 1, "text": "1 dog and 11 cats", "start": 1.0}),
        "workers = 1\nseed = 1\n",
        json.dumps({"video_id": "11", "path": "11.mp4"}),
    ],
)
def test_a_short_name_is_no_trace_in_what_is_of_others(text: str) -> None:
    assert not SHORT.in_text(text) and not SHORT.loosely_in(text), "paid replies and settings would go with it"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"video_id": "1"}),
        json.dumps({"path": "1.mp4"}),
        "a copy of '1', which stays",
        "made of q_abc",
        json.dumps({"caption": "It rains. The bridge reopens today."}),
    ],
)
def test_what_names_or_tells_it_is_found(text: str) -> None:
    assert SHORT.in_text(text) and SHORT.loosely_in(text)


def test_a_long_name_is_found_inside_others_only_loosely() -> None:
    long = Traces({"holiday/boat-trip"}, frozenset(), frozenset())
    assert long.in_text("see holiday/boat-trip there") and not long.in_text("holiday/boat-trip-2")
    assert long.loosely_in("holiday/boat-trip-2")
