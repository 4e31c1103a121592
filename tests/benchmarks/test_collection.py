"""The stages that see a whole collection: a small one is gone through, and measured growth is bounded."""

from __future__ import annotations

import json
from math import log

import pytest

from benchmarks.collection import RESULT, STAGES, Made

ROWS = {(row["stage"], row["videos"]): row for row in json.loads(RESULT.read_text("utf-8"))["stages"]}
GROWTH = 1.35
"""What a stage may take beyond n log n: processor seconds of a machine that has other work vary by so much."""


@pytest.mark.parametrize("stage", ["duplicates", "twins", "negatives", "splits"])
def test_a_small_collection_is_gone_through(stage: str) -> None:
    told = STAGES[stage](Made(60))
    assert all(count > 0 for count in told.values())


@pytest.mark.parametrize("stage", ["duplicates", "twins", "negatives", "splits"])
def test_time_grows_no_faster_than_n_log_n_and_memory_than_n(stage: str) -> None:
    sizes = sorted(videos for name, videos in ROWS if name == stage)
    first = ROWS[stage, sizes[0]]
    assert len(sizes) > 1
    for size in sizes[1:]:
        row, times = ROWS[stage, size], size / sizes[0]
        assert row["cpu_s"] <= GROWTH * first["cpu_s"] * times * log(size) / log(sizes[0])
        assert row["memory_mib"] <= times * first["memory_mib"]
