"""How fast an exact search is beside numpy's bare product, and what memory it takes.

    python -m benchmarks.dense_search [--vectors 1000000] [--dimension 1024] [--queries 1000] [--rounds 3]

Random unit vectors are written as `hardcut embed` writes them. Then, in turn and each in a process of its own:
`hardcut search`'s function reads them from the disk and keeps the best 100, and numpy multiplies the same block, which
is in memory already, as often as there are blocks. Processor seconds count, since a machine may have other work. The
result goes to benchmarks/results/dense_search.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from hardcut.engine.nearest import nearest
from hardcut.engine.vectors import ROWS, VectorFolder, VectorWriter, unit

RESULT = Path(__file__).parent / "results" / "dense_search.json"
DEPTH = 100
_SHARD = 50_000


def make(folder: Path, count: int, width: int) -> None:
    """Writes the vectors."""
    writer = VectorWriter(folder, "videos", {})
    random = np.random.default_rng(0)
    for start in range(0, count, _SHARD):
        ids = [f"v{number:09d}" for number in range(start, min(count, start + _SHARD))]
        writer.add(ids, ["c"] * len(ids), unit(random.standard_normal((len(ids), width), dtype=np.float32)))


def some_queries(count: int, width: int) -> np.ndarray:
    return unit(np.random.default_rng(1).standard_normal((count, width), dtype=np.float32))


def searched(folder: Path, queries: int, width: int) -> None:
    """The time of a search, and the memory that it took beside the ids; for a process of its own."""
    asked, vectors = some_queries(queries, width), VectorFolder(folder)
    ids = vectors.ids("videos")
    Path("/proc/self/clear_refs").write_text("5")  # the peak of the memory begins anew
    before = _peak_mib()
    start, cpu = time.perf_counter(), time.process_time()
    nearest(asked, vectors.blocks("videos"), ids, DEPTH)
    _tell(start, cpu, mib=_peak_mib() - before)


def multiplied(count: int, queries: int, width: int) -> None:
    """The time of numpy's product alone, of blocks of the same size, the scores thrown away."""
    asked, block = some_queries(queries, width), some_queries(ROWS, width)
    out = np.empty((queries, ROWS), dtype=np.float32)
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(-(-count // ROWS)):
        np.matmul(asked, block.T, out=out)
    _tell(start, cpu)


def _tell(start: float, cpu: float, **more: float) -> None:
    found = {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    print(json.dumps({name: round(value, 2) for name, value in (found | more).items()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=1024)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", help="for a process of its own")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.part == "search":
        searched(given.folder, given.queries, given.dimension)
    elif given.part == "product":
        multiplied(given.vectors, given.queries, given.dimension)
    else:
        with tempfile.TemporaryDirectory() as name:
            make(Path(name), given.vectors, given.dimension)
            _report(given, Path(name))


def _report(given: argparse.Namespace, folder: Path) -> None:
    rounds = []
    for _ in range(given.rounds):
        product, search = (_part(given, folder, part) for part in ("product", "search"))
        rounds.append({"product": product, "search": search})
        print(rounds[-1], flush=True)
    result = {
        "vectors": given.vectors,
        "dimension": given.dimension,
        "queries": given.queries,
        "depth": DEPTH,
        "cores": os.cpu_count(),
        "rounds": rounds,
        "speed_beside_the_product": _speed(rounds, "cpu_s"),
        "speed_by_the_clock": _speed(rounds, "seconds"),
        "memory_mib": round(max(each["search"]["mib"] for each in rounds)),
        "vectors_mib": given.vectors * given.dimension * 4 // 2**20,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def _speed(rounds: list[dict[str, dict[str, float]]], name: str) -> float:
    return round(median(each["product"][name] / each["search"][name] for each in rounds), 3)


def _part(given: argparse.Namespace, folder: Path, part: str) -> dict[str, float]:
    line = [
        sys.executable, "-m", "benchmarks.dense_search", "--part", part, "--folder", str(folder),
        "--vectors", str(given.vectors), "--dimension", str(given.dimension), "--queries", str(given.queries),
    ]  # fmt: skip
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _peak_mib() -> float:
    """The most memory that this process ever held (Linux)."""
    told = Path("/proc/self/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
