from __future__ import annotations

import pytest

from hardcut.synth.evidence.tracks import Reading, Rect, follow, same_text

HERE: Rect = (0.1, 0.1, 0.3, 0.2)


def readings(*texts: str | None, box: Rect = HERE, confidence: float = 0.9) -> list[list[Reading]]:
    return [[] if text is None else [Reading(i, text, confidence, box)] for i, text in enumerate(texts)]


def quarter(frames: list[list[Reading]]) -> list[tuple[str, float, float]]:
    times = [i / 4 for i in range(len(frames))]
    return [(line.text, line.start, line.end) for line in follow(times, frames, len(frames) / 4)]


def test_a_line_stands_half_a_gap_beyond_its_frames() -> None:
    assert quarter(readings(None, None, "EXIT", "EXIT", "EXIT", None, None, None)) == [("EXIT", 0.375, 1.125)]


def test_spans_stay_within_the_video() -> None:
    assert quarter(readings("EXIT", "EXIT")) == [("EXIT", 0.0, 0.375)]
    assert [(line.start, line.end) for line in follow([0.0], readings("EXIT"), 0.1)] == [(0.0, 0.1)]


def test_one_missing_frame_does_not_split() -> None:
    assert quarter(readings("EXIT", None, "EXIT", None)) == [("EXIT", 0.0, 0.625)]
    assert len(quarter(readings("EXIT", None, None, "EXIT"))) == 2


def test_no_line_goes_on_over_a_hole_in_the_video() -> None:
    frames = readings("EXIT", "EXIT", "EXIT", "EXIT")
    lines = follow([0.0, 0.5, 56.0, 56.5], frames, 57.0, [(0.6, 55.9)])
    assert [(line.start, line.end) for line in lines] == [(0.0, 0.6), (55.9, 56.75)]


def test_the_best_reading_wins_by_summed_confidence() -> None:
    frames = readings("harbour", "harbonr", "harbour", "harbonr")
    frames[1][0] = Reading(1, "harbonr", 0.95, HERE)
    frames[3][0] = Reading(3, "harbonr", 0.5, HERE)
    [line] = follow([0, 0.25, 0.5, 0.75], frames, 1)
    assert (line.text, line.confidence) == ("harbour", 0.9)


def test_a_reading_that_is_carried_over_votes_once() -> None:
    wrong = Reading(0, "harbonr", 0.6, HERE)
    frames = [[wrong], [wrong], [wrong], [Reading(3, "harbour", 0.9, HERE)]]
    [line] = follow([0, 0.25, 0.5, 0.75], frames, 1)
    assert line.text == "harbour"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Welcome", "Welcorne", True),
        ("keep left", "keepleft", True),
        ("platform 7", "platform 8", False),
        ("turn left", "turn right", False),
        ("OPEN", "CLOSED", False),
    ],
)
def test_same_text(one: str, other: str, same: bool) -> None:
    assert same_text(one, other) is same
    assert len(quarter(readings(one, other))) == (1 if same else 2)


def test_slowly_moving_text_is_one_line_and_twins_are_two() -> None:
    moving = [[Reading(i, "NEWS", 0.9, (0.1 * i, 0.8, 0.1 * i + 0.2, 0.9))] for i in range(7)]
    assert len(quarter(moving)) == 1
    twins = [[Reading(i, "EXIT", 0.9, HERE), Reading(i, "EXIT", 0.9, (0.7, 0.1, 0.9, 0.2))] for i in range(4)]
    assert len(quarter(twins)) == 2
    far = [[Reading(0, "EXIT", 0.9, HERE)], [Reading(1, "EXIT", 0.9, (0.7, 0.1, 0.9, 0.2))]]
    assert len(quarter(far)) == 2
