"""Benchmarks of nuance: what is to be scored, and the figures of what was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.publish._folder import new_folder
from hardcut.reranker.evaluation import runs_by_name
from hardcut.reranker.nuance.benchmark import Asked
from hardcut.reranker.nuance.figures import BenchmarkFigures, figures
from hardcut.reranker.nuance.known import read_benchmark
from hardcut.schemas.trec import Run, read_run

PathLike = str | Path


def evaluate_benchmark(name: str, files: Sequence[PathLike], *runs: Run | PathLike) -> list[BenchmarkFigures]:
    """The figures of runs over a benchmark of nuance, as its paper defines them. `files` are the benchmark's own,
    `runs` TREC runs, or mappings of scores by query and candidate. Scores are compared within a query.

    Raises UsageError for a benchmark or a file that is not what it should be.
    """
    benchmark = read_benchmark(name, [Path(file) for file in files])
    read = (("run", run) if isinstance(run, Mapping) else (Path(run).stem, read_run(Path(run)).scores) for run in runs)
    return [figures(benchmark, run_name, scores) for run_name, scores in runs_by_name(read).items()]


def write_asked(name: str, files: Sequence[PathLike], out: Path) -> dict[str, int]:
    """Writes what is to be scored to the new folder `out`: `queries.jsonl` and `candidates.jsonl` (`id`, and `text`,
    `video`, or both for an edit of a video), and `pairs.tsv`, each query with its candidates, each pair once. Lines by
    file."""
    benchmark = read_benchmark(name, [Path(file) for file in files])
    pairs: dict[str, dict[str, None]] = {}
    for query, candidates in benchmark.needed:
        pairs.setdefault(query, {}).update(dict.fromkeys(candidates))
    with new_folder(out) as folder:
        asked = {candidate for candidates in pairs.values() for candidate in candidates}
        counts = {
            "queries.jsonl": _write(folder / "queries.jsonl", benchmark.queries, sorted(pairs)),
            "candidates.jsonl": _write(folder / "candidates.jsonl", benchmark.candidates, sorted(asked)),
            "pairs.tsv": 0,
        }
        with atomic_writer(folder / "pairs.tsv") as file:
            for line in (f"{query}\t{each}\n" for query, candidates in sorted(pairs.items()) for each in candidates):
                file.write(line)
                counts["pairs.tsv"] += 1
    return counts


def _write(path: Path, known: Mapping[str, Asked], ids: Sequence[str]) -> int:
    def lines() -> Iterator[dict[str, str]]:
        for id in ids:
            yield {"id": id, **{name: value for name, value in known[id]._asdict().items() if value is not None}}

    with atomic_writer(path) as file:
        for line in lines():
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(ids)
