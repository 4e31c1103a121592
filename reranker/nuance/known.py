"""Which benchmarks there are. Another one is a file beside this, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hardcut.reranker.nuance.adverbs import read_adverbs
from hardcut.reranker.nuance.benchmark import Benchmark
from hardcut.reranker.nuance.cia import read_cia
from hardcut.reranker.nuance.covr import read_covr
from hardcut.reranker.nuance.negbench import read_negbench
from hardcut.reranker.nuance.rtime import read_rtime
from hardcut.schemas.errors import UsageError
from hardcut.schemas.names import suggestion

BENCHMARKS: Mapping[str, Callable[[Sequence[Path]], Benchmark]] = {
    "adverbs": read_adverbs,
    "cia": read_cia,
    "negbench": read_negbench,
    "rtime": read_rtime,
    "webvid-covr": read_covr,
}


def read_benchmark(name: str, files: Sequence[Path]) -> Benchmark:
    """The benchmark in these files. Raises UsageError for another name, and naming file and line."""
    if name not in BENCHMARKS:
        raise UsageError(f"--benchmark {name!r}: no such benchmark; {suggestion(name, BENCHMARKS)}")
    found = BENCHMARKS[name](files)
    if not any(next(part.choices(), None) is not None for part in found.parts):
        raise UsageError(f"--benchmark {name}: there is nothing to measure in {', '.join(map(str, files))}")
    return found
