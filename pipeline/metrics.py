"""Figures of a run for programs, while it is under way: lines of JSON in a file, and a port for Prometheus.

Calls are counted as they are sent, not as they are booked in the ledger.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hardcut.engine.activity import Activity, Reading
from hardcut.engine.files import storage_error
from hardcut.schemas.dependencies import needs
from hardcut.schemas.errors import UsageError
from hardcut.schemas.resources import Resources

if TYPE_CHECKING:
    from prometheus_client.core import Metric

EVERY_S = 5.0
"""The file gets a line this often, in seconds."""
_WINDOW_S = 60.0
"""Rates are those of the last minute."""
_FIRST = b'{"time":'
"""How a line of ours begins."""
_LAST_LINES = 1 << 16
"""Bytes at the end of a file that are looked at."""
_log = logging.getLogger(__name__)


class StageCounts(NamedTuple):
    """Where a stage stands. `total` is None where only its end shows it; `rate` is in units a second, and `left_s` what
    the rest takes at that rate."""

    done: int
    total: int | None
    failed: int
    finished: bool
    rate: float
    left_s: float | None


class Metrics:
    """Counts what a start of a run does; one of the engine's progresses. May be read from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._totals: dict[str, int | None] = {}
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._finished: set[str] = set()
        self._past: deque[tuple[float, Counter[str], Reading]] = deque()
        self._activity, self._most = Activity(), 0

    def started(self, stage: str, total: int | None) -> None:
        with self._lock:
            self._totals[stage] = total

    def advanced(self, stage: str) -> None:
        with self._lock:
            self._done[stage] += 1

    def failed(self, stage: str) -> None:
        with self._lock:
            self._failed[stage] += 1

    def finished(self, stage: str) -> None:
        with self._lock:
            self._finished.add(stage)

    def asking(self, activity: Activity, most: int) -> None:
        with self._lock:
            self._activity, self._most = activity, most

    def stages(self) -> dict[str, StageCounts]:
        """The stages that have or had something to do, in their order."""
        with self._lock:
            before_s, before, _ = self._then()
            seconds = max(self._clock() - before_s, 1e-9)
            found = {}
            for stage, total in self._totals.items():
                if total == 0:
                    continue
                done, finished = self._done[stage], stage in self._finished
                rate = 0.0 if finished else (done - before[stage]) / seconds
                left = (total - done) / rate if rate and total is not None else None
                found[stage] = StageCounts(done, total, self._failed[stage], finished, rate, left)
            return found

    def teachers(self) -> tuple[Reading, int, float, float]:
        """What the teachers did in all; how many calls may be in flight at once (0: not known); of the last minute the
        tokens a second that they wrote, and the calls in flight on average."""
        with self._lock:
            _, _, then = self._then()
            now = self._activity.read()
            seconds = max(now.at_s - then.at_s, 1e-9)
            written = (now.completion_tokens - then.completion_tokens) / seconds
            return now, self._most, written, (now.in_flight_s - then.in_flight_s) / seconds

    def remember(self) -> None:
        """Keeps the counts of this moment, which later rates are held against."""
        with self._lock:
            now = self._clock()
            while len(self._past) > 1 and self._past[1][0] <= now - _WINDOW_S:
                self._past.popleft()
            self._past.append((now, Counter(self._done), self._activity.read()))

    def _then(self) -> tuple[float, Counter[str], Reading]:
        return self._past[0] if self._past else (self._clock(), Counter(self._done), self._activity.read())

    def line(self, *, ended: bool = False) -> dict[str, Any]:
        """All of it, as plain JSON values."""
        now, most, tokens_s, in_flight = self.teachers()
        stages = [
            {"stage": name, **found._asdict(), "rate": round(found.rate, 3), "left_s": _rounded(found.left_s)}
            for name, found in self.stages().items()
        ]
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "process": os.getpid(),
            "ended": ended,
            "stages": stages,
            "calls": now.calls,
            "in_flight": now.in_flight,
            "prompt_tokens": now.prompt_tokens,
            "completion_tokens": now.completion_tokens,
            "tokens_s": round(tokens_s, 1),
            "in_use": round(in_flight / most, 3) if most else None,
        }


@contextmanager
def published_metrics(resources: Resources) -> Iterator[Metrics | None]:
    """The metrics of a start, written and served for as long as the block lasts; None where nobody asked for any.

    Raises UsageError where the file is not one of metrics or the port is taken, MissingDependency, StorageError.
    """
    if resources.metrics_file is None and resources.metrics_port is None:
        yield None
        return
    metrics = Metrics()
    with ExitStack() as stack:
        if resources.metrics_port is not None:
            stack.enter_context(_served(metrics, resources.metrics_port))
        stack.enter_context(_written(metrics, Path(resources.metrics_file) if resources.metrics_file else None))
        yield metrics


@contextmanager
def _written(metrics: Metrics, path: Path | None) -> Iterator[None]:
    """Every few seconds a line at the end of the file, and one at the end of the block. Where the disk does not take
    one any more, that is told, and the run goes on."""
    file = _open(path) if path else None
    stop = threading.Event()

    def write(*, ended: bool) -> None:
        metrics.remember()
        if file is not None:
            os.write(file, json.dumps(metrics.line(ended=ended), ensure_ascii=False).encode() + b"\n")

    def every_few_seconds() -> None:
        try:
            write(ended=False)
            while not stop.wait(EVERY_S):
                write(ended=False)
            write(ended=True)
        except OSError as error:
            _log.warning("%s: no more metrics are written: %s", path, error.strerror)

    thread = threading.Thread(target=every_few_seconds, name="hardcut-metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if file is not None:
            os.close(file)


def _open(path: Path) -> int:
    """The file, to be written at its end. What a killed process left of a line is taken away."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise storage_error(path, error) from error
    size = os.fstat(file).st_size
    tail = os.pread(file, _LAST_LINES, max(0, size - _LAST_LINES))
    whole = tail[: tail.rfind(b"\n") + 1]
    last = whole.rstrip(b"\n").rpartition(b"\n")[2] if whole else tail
    if not (last.startswith(_FIRST) or _FIRST.startswith(last)):
        os.close(file)
        raise UsageError(f"{path}: is no file of metrics: name another one with --metrics")
    os.ftruncate(file, size - (len(tail) - len(whole)))
    return file


@contextmanager
def _served(metrics: Metrics, port: int) -> Iterator[None]:
    """The metrics on a port of this machine alone, in the text format of OpenMetrics or Prometheus."""
    with needs("prometheus_client", "metrics"):
        from prometheus_client import CollectorRegistry, start_http_server
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise UsageError(f"port {port}: {error.strerror}: name another one with --metrics-port") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Collector:
    """What prometheus_client asks at each visit."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        stages = self._metrics.stages()
        now, most, _, _ = self._metrics.teachers()
        done = CounterMetricFamily("hardcut_units", "units behind a stage, in this start", labels=["stage"])
        failed = CounterMetricFamily("hardcut_failed_units", "units that failed there", labels=["stage"])
        totals = GaugeMetricFamily("hardcut_units_in", "units of the stage's leg", labels=["stage"])
        for stage, found in stages.items():
            done.add_metric([stage], found.done)
            failed.add_metric([stage], found.failed)
            if found.total is not None:
                totals.add_metric([stage], found.total)
        tokens = CounterMetricFamily("hardcut_tokens", "tokens of answered calls", labels=["of"])
        tokens.add_metric(["prompt"], now.prompt_tokens)
        tokens.add_metric(["completion"], now.completion_tokens)
        yield from (done, failed, totals, tokens)
        yield CounterMetricFamily("hardcut_calls", "calls that were sent to teachers", value=now.calls)
        yield CounterMetricFamily("hardcut_call_seconds", "time of all calls together", value=now.in_flight_s)
        yield GaugeMetricFamily("hardcut_calls_in_flight", "calls under way", value=now.in_flight)
        yield GaugeMetricFamily("hardcut_call_places", "calls that may be under way; 0: not known", value=most)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
