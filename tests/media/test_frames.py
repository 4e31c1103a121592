"""Which frames are shown of a video: evenly spread, and each shot with one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from hardcut.media.frames import Frame, FrameSet


def stored(count: int, apart_s: float = 1.0) -> FrameSet:
    frames = tuple(Frame(Path(f"{n}.jpg"), (n + 0.5) * apart_s, "0" * 64) for n in range(count))
    return FrameSet(frames, count * apart_s, complete=True)


def shots(*edges: float) -> list[tuple[float, float]]:
    return list(pairwise(edges))


def shown(count: int, *edges: float, of: int = 240) -> list[float]:
    return [frame.time_s for frame in stored(of).spread(count, shots(*edges))]


def test_each_shot_has_a_frame_where_there_are_enough() -> None:
    edges = (0.0, 3.0, 5.0, 9.0, 100.0, 101.0, 240.0)
    times = shown(8, *edges)
    assert len(times) == 8 and times == sorted(times)
    assert all(any(start <= time_s < end for time_s in times) for start, end in shots(*edges))
    assert times == shown(8, *edges), "and always the same"


@pytest.mark.parametrize("edges", [(), (0.0, 240.0), (0.0, 60.0, 120.0, 240.0)])
def test_they_stay_where_they_are_where_each_shot_has_one(edges: tuple[float, ...]) -> None:
    assert shown(8, *edges) == [frame.time_s for frame in stored(240).spread(8)]


def test_more_shots_than_frames_are_spread_over_time() -> None:
    assert shown(4, *(float(edge) for edge in range(241))) == [frame.time_s for frame in stored(240).spread(4)]


def test_a_shot_between_two_stored_frames_is_passed_over() -> None:
    assert shown(8, 0.0, 20.6, 20.9, 240.0) == [frame.time_s for frame in stored(240).spread(8)]


def test_as_many_shots_as_frames() -> None:
    edges = (0.0, 2.0, 4.0, 6.0, 240.0)
    times = shown(4, *edges)
    assert [sum(start <= time_s < end for time_s in times) for start, end in shots(*edges)] == [1, 1, 1, 1]
