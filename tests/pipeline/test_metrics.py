"""Figures of a run for programs: what the file and the port say, while it goes on, after a kill and at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hardcut.engine.activity import Activity
from hardcut.engine.status import read_status
from hardcut.pipeline.metrics import Metrics, published_metrics
from hardcut.schemas.errors import UsageError
from hardcut.schemas.resources import Resources

RUN = """
import asyncio, sys
from collections.abc import Mapping
from pathlib import Path
from hardcut.engine.activity import Activity
from hardcut.engine.budget import BookedCalls, CallBudget
from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.progress import NullProgress, Several
from hardcut.engine.stage import Output, Source
from hardcut.pipeline import metrics
from hardcut.schemas.errors import ItemError
from hardcut.schemas.records import Tokens
from hardcut.schemas.resources import Resources

metrics.EVERY_S = 0.2

class Asks:
    kind, name, version, over, reads, makes, settings = "unit", "asks", 1, None, (), (), {}
    def __init__(self, budget): self.budget = budget
    async def run(self, unit):
        calls = BookedCalls(self.budget, "judge")
        await calls.sending()
        await asyncio.sleep(0.1)
        calls.received(Tokens(prompt=100, completion=10))
        if unit.id == "u003":
            raise ItemError("bad", "one that fails")
        return Output()

async def run(folder, port):
    resources = Resources(metrics_file=str(folder / "metrics.jsonl"), metrics_port=port)
    sources = [Source(f"u{at:03}", "1", None) for at in range(200)]
    with Ledger(folder) as ledger, metrics.published_metrics(resources) as found:
        budget = CallBudget(ledger)
        found.asking(budget.activity, 8)
        await Engine(ledger, concurrency=4, progress=Several(NullProgress(), found)).run([Asks(budget)], sources)
        await budget.close()

asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
"""


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line of the file; each must be whole."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def scraped(port: int) -> dict[tuple[str, ...], float]:
    """What the port says, read by Prometheus' own parser of OpenMetrics, by name and labels."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
    request.add_header("Accept", "application/openmetrics-text; version=1.0.0")
    text = urllib.request.urlopen(request, timeout=20).read().decode()
    assert text.endswith("# EOF\n")
    samples = (sample for family in parsed(text) for sample in family.samples)
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def until(found: Any) -> Any:
    for _ in range(600):
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("it never came")


@pytest.fixture
def started(tmp_path: Path, port: int) -> Iterator[Any]:
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), str(port)]))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_run_tells_while_it_goes_on_and_after_a_kill(started: Any, tmp_path: Path, port: int) -> None:
    pytest.importorskip("prometheus_client", reason='needs pip install "hardcut[metrics]"')
    path = tmp_path / "metrics.jsonl"
    process = started()
    line = until(lambda: next((line for line in lines(path) if line["completion_tokens"] > 100), None))
    [stage] = line["stages"]
    assert stage["total"] == 200 and 0 < stage["done"] < 200 and not stage["finished"] and not line["ended"]
    assert stage["rate"] > 0 and stage["left_s"] > 0 and line["tokens_s"] > 0
    assert line["completion_tokens"] == 10 * (line["calls"] - line["in_flight"])  # sent, and none that is booked ahead
    assert 0 < line["in_use"] <= 0.5  # 4 of 8 places
    seen = scraped(port)
    assert seen["hardcut_units_total", "asks"] >= stage["done"] and seen["hardcut_units_in", "asks"] == 200
    assert seen["hardcut_tokens_total", "completion"] <= 10 * seen["hardcut_calls_total",]
    assert seen["hardcut_call_places",] == 8 and 0 <= seen["hardcut_calls_in_flight",] <= 4
    assert seen["hardcut_failed_units_total", "asks"] == 1 and seen["hardcut_call_seconds_total",] > 0

    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = lines(path)
    with path.open("ab") as file:  # a kill in the middle of a line
        file.write(b'{"time": "2026-01-01T00:0')
    assert started().wait(120) == 0
    after = lines(path)
    assert after[: len(before)] == before and len(after) > len(before) + 1
    assert [line["ended"] for line in after[len(before) :]] == [*[False] * (len(after) - len(before) - 1), True]
    assert len({line["process"] for line in after}) == 2
    [stage] = after[-1]["stages"]
    assert stage["done"] == stage["total"] == 200 and stage["finished"] and stage["left_s"] is None
    booked = sum(spend.calls for spend in read_status(tmp_path).spend)
    assert 200 <= before[-1]["calls"] + after[-1]["calls"] <= booked  # what a kill leaves booked counts as spent


def test_a_file_that_is_none_of_ours_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\nwithout an end")
    with pytest.raises(UsageError, match=r"notes\.txt: is no file of metrics"):
        published_metrics(Resources(metrics_file=str(path))).__enter__()
    assert path.read_text() == "my notes\nwithout an end"


def test_a_port_that_is_taken_is_told(port: int) -> None:
    pytest.importorskip("prometheus_client", reason='needs pip install "hardcut[metrics]"')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(UsageError, match=f"port {port}: .*--metrics-port"):
            published_metrics(Resources(metrics_port=port)).__enter__()


def test_rates_are_those_of_the_last_minute() -> None:
    now = 1000.0
    metrics, activity = Metrics(lambda: now), Activity(lambda: now)
    metrics.asking(activity, 4)
    metrics.started("probe", 1000)
    metrics.started("captions", 0)
    metrics.remember()
    for at in range(200):  # ten units in a second for a hundred seconds, then one
        now += 1
        for _ in range(10 if at < 100 else 1):
            metrics.advanced("probe")
        if at % 2:
            activity.sent()
            now += 1
            activity.ended(30, 6)
        metrics.remember()
    counts = metrics.stages()
    assert list(counts) == ["probe"] and counts["probe"].done == 1100
    assert counts["probe"].rate == pytest.approx(2 / 3, rel=0.05)
    _, most, tokens_s, in_flight = metrics.teachers()
    assert most == 4 and tokens_s == pytest.approx(2, rel=0.05) and in_flight == pytest.approx(1 / 3, rel=0.06)
