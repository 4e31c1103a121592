"""How many units a second pass through ledger and files, and what memory that takes.

    python benchmarks/ledger.py [SIZE ...]

Every size runs in a process of its own: a unit stage over sources that makes one pair each, a collection stage that
reads all pairs and makes a judgment of each, and a unit stage over the videos of the pairs that makes a label. Then
the same once more, which has nothing to do. The stages do no work of their own, so all time is the engine's. Writes
`results/ledger.json` beside this file.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hardcut.engine.engine import Engine
from hardcut.engine.files import atomic_writer
from hardcut.engine.ledger import Ledger
from hardcut.engine.stage import Output, Reader, Source, Unit
from hardcut.engine.status import read_status
from hardcut.schemas.base import Record
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Pair, TeacherLabel, TeacherRef

SIZES = (1_000, 10_000, 100_000)
TEACHER = TeacherRef(backend="none", model="none")


class Sources:
    """Made as they are read, so that the memory measured is the engine's."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Iterator[Source]:
        return (Source(f"video{number:07d}", "1", None) for number in range(self.size))


class Meet:
    kind, name, version, over = "unit", "meet", 1, None
    reads: tuple[type[Record], ...] = ()
    makes: tuple[type[Record], ...] = (Pair,)
    settings: Mapping[str, Any] = {}

    async def run(self, unit: Unit) -> Output:
        pair = Pair.create(query_id=f"q_{unit.id}", video_id=unit.id, origins=("source",), expected="yes")
        return Output(records=[pair])


class Settle:
    kind, name, version = "collection", "settle", 1
    reads: tuple[type[Record], ...] = (Pair,)
    makes: tuple[type[Record], ...] = (Judgment,)
    settings: Mapping[str, Any] = {}

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        for pair in records.all(Pair):
            made = Judgment(
                pair_id=pair.pair_id, query_id=pair.query_id, video_id=pair.video_id, grade=1, source="gold"
            )
            yield pair.pair_id, Output(records=[made])


class Label:
    kind, name, version, over = "unit", "label", 1, Pair
    reads: tuple[type[Record], ...] = (Pair, Judgment)
    makes: tuple[type[Record], ...] = (TeacherLabel,)
    settings: Mapping[str, Any] = {}

    async def run(self, unit: Unit) -> Output:
        pair, judgment = unit.one(Pair), unit.one(Judgment)
        label = TeacherLabel.create(
            pair_id=pair.pair_id, query_id=judgment.query_id, video_id=unit.id, verdict="unparsed", teacher=TEACHER
        )
        return Output(records=[label])


def measure(size: int) -> dict[str, float | int]:
    """In a process of its own: one size, both runs."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)

        def once() -> float:
            start = time.perf_counter()
            with Ledger(run) as ledger:
                asyncio.run(Engine(ledger).run([Meet(), Settle(), Label()], Sources(size)))
            return time.perf_counter() - start

        first = once()
        cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        second = once()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        start = time.perf_counter()
        stages = read_status(run).stages
        status_s = time.perf_counter() - start
        if any((stage.done, stage.units_in) != (size, size) for stage in stages):
            raise SystemExit(f"the sums do not agree: {stages}")
        return {
            "units": size,
            "first_run_s": round(first, 2),
            "first_run_cpu_s": round(cpu, 2),
            "units_per_s": round(3 * size / first),
            "second_run_s": round(second, 3),
            "status_s": round(status_s, 3),
            "peak_rss_mib": round(peak, 1),
            "ledger_mib": round((run / "ledger.sqlite").stat().st_size / 2**20, 1),
        }


def main(sizes: list[int]) -> None:
    """Measures all sizes, prints them and writes the result."""
    rows = []
    for size in sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        print(rows[-1], flush=True)
    machine = {
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    with atomic_writer(Path(__file__).parent / "results" / "ledger.json") as file:
        json.dump({"machine": machine, "stages": 3, "sizes": rows}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
