"""What the log of a job that nobody watches says of its progress."""

from __future__ import annotations

import re

import pytest
from rich.progress import Progress

from hardcut.engine.activity import Activity, Reading
from hardcut.engine.progress import NullProgress, Watcher
from hardcut.pipeline import progress as module
from hardcut.pipeline.progress import LogProgress, open_progress


def test_a_log_gets_a_line_now_and_then_and_none_from_short_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    activity = Activity(clock=lambda: now[0])
    with open_progress() as lines:
        assert isinstance(lines, LogProgress), "stderr is no terminal here"
        assert isinstance(lines, Watcher) and not isinstance(NullProgress(), Watcher)
        lines.asking(activity, 4)
        lines.started("probe", 2)
        lines.advanced("probe")
        lines.finished("probe")
        lines.started("evidence", 1000)
        lines.started("captions", 1000)
        for second in range(20):
            now[0] += 1
            lines.advanced("evidence")
            if second >= 10:
                activity.sent()
                if second == 15:
                    lines.failed("captions")
                lines.advanced("captions")
                now[0] += 0.5
                activity.ended(100, 30)
        lines.finished("evidence")
        lines.finished("captions")
        lines.started("negatives", None)
        now[0] += 61
        lines.advanced("negatives")
    told = capsys.readouterr().err.splitlines()
    assert [re.sub(r"(, [\d.]+/s)?(, \d+:\d\d:\d\d left)?", "", line) for line in told] == [
        "evidence 10/1000 · captions 0/1000",
        "evidence 17/1000 · captions 6/1000 · 1 failed · 6 calls, 18 tokens/s, 0.3 of 4 in flight",
        "negatives 1 · 1 failed · 10 calls, 2 tokens/s, 0.0 of 4 in flight",
    ], told
    assert lines.teachers == "10 calls, 3 tokens/s, 0.1 of 4 in flight"


def test_units_that_end_at_once_tell_no_absurd_speed() -> None:
    now = [0.0]
    bars = Progress(get_time=lambda: now[0])
    task = bars.add_task("counterfactuals", total=24)
    assert module._speed(bars.tasks[task]) == ""
    now[0] = 10.0
    for _ in range(5):
        bars.advance(task)
    assert module._speed(bars.tasks[task]) == ", 0.5/s, 0:00:38 left"


def test_calls_are_counted_as_they_are_sent() -> None:
    now = [0.0]
    activity = Activity(clock=lambda: now[0])
    activity.sent()
    activity.sent()
    now[0] = 2.0
    activity.taken_back()
    now[0] = 5.0
    assert activity.read() == Reading(5.0, calls=1, in_flight=1, in_flight_s=7.0, prompt_tokens=0, completion_tokens=0)
    activity.ended(10, 20)
    now[0] = 9.0
    assert activity.read() == Reading(
        9.0, calls=1, in_flight=0, in_flight_s=7.0, prompt_tokens=10, completion_tokens=20
    )
