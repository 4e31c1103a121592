"""What the log of a job that nobody watches says of its progress."""

from __future__ import annotations

import re

import pytest

from hardcut.pipeline import progress as module
from hardcut.pipeline.progress import LogProgress, open_progress


def test_a_log_gets_a_line_a_minute_and_none_from_short_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with open_progress() as lines:
        assert isinstance(lines, LogProgress), "stderr is no terminal here"
        lines.started("probe", 2)
        lines.advanced("probe")
        lines.finished("probe")
        lines.started("evidence", 1000)
        for _ in range(300):
            now[0] += 1
            lines.advanced("evidence")
        lines.started("negatives", None)
        now[0] += 61
        lines.advanced("negatives")
    told = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in told] == [
        "evidence: 60 of 1000", "evidence: 120 of 1000", "evidence: 180 of 1000", "evidence: 240 of 1000",
        "evidence: 300 of 1000", "negatives: 1",
    ]  # fmt: skip
    assert re.fullmatch(r"evidence: 60 of 1000(, \d+:\d\d:\d\d left)?", told[0])
