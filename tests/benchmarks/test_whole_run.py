"""The benchmark of whole runs: what it says of when the server stood still, and what is written down."""

from __future__ import annotations

import json

import pytest

from benchmarks.whole_run import PLACES, RESULTS, SECONDS, Call, idle, timeline

CALLS = [Call("caption", 2.0, 2.0, 6.0), Call("caption", 2.0, 4.0, 8.0), Call("judge", 10.0, 11.0, 14.0)]


def test_a_server_stands_still_before_between_and_after() -> None:
    assert sum(each.ended - each.began for each in CALLS) == 11
    found = idle(CALLS, began=0.0, ended=16.0)
    assert found == {"before": 2.0, "between": round(12 - 11 / PLACES, 1), "after": 2.0}


def test_a_timeline_has_a_line_for_each_stretch_with_its_tasks_and_who_waits() -> None:
    _, *lines = timeline(CALLS, began=0.0, ended=16.0, lines=8).splitlines()
    assert [line.split()[0] for line in lines] == ["0.0", "2.0", "4.0", "6.0", "8.0", "10.0", "12.0", "14.0"]
    bars = [line.split()[1] if len(line.split()) > 1 else "" for line in lines]
    assert bars == ["", "##", "####", "##", "", "#", "##", ""]
    assert "caption 1.0   (1.0 wait)" in lines[1] and "caption 2.0" in lines[2] and "judge 1.0" in lines[6]


def test_what_is_written_down_adds_up() -> None:
    told = json.loads(RESULTS.read_text())
    assert told["places"] == PLACES and told["seconds"] == SECONDS
    assert max(told["first_call"]["seconds"]) <= 10
    for row in told["rows"]:
        server = sum(SECONDS[task] * count for task, count in row["calls"].items()) * row["slow"] / PLACES
        assert row["server_s"] == pytest.approx(server, abs=0.1)
        assert row["ratio"] == pytest.approx(row["whole_s"] / max(row["processors_s"], row["server_s"]), abs=0.02)
        assert row["in_use"] == pytest.approx(row["server_s"] / row["whole_s"], abs=0.02)
