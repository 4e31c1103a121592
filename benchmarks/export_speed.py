"""Export of a large run: time and peak memory, out of a synthetic run folder, the gate included.

python benchmarks/export_speed.py --pairs 1000000 --out benchmarks/results/export.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from hardcut.publish.export_dataset import export
from hardcut.schemas.base import Record
from hardcut.schemas.dataset_settings import ExportSettings
from hardcut.schemas.ids import digest
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Caption, Facet, FirstStage, Pair, Query, Span, TeacherLabel, TeacherRef, Video
from hardcut.schemas.settings import Settings

CANDIDATES = 9
"""Pairs a query: its source and eight mined."""
TEACHER = TeacherRef(backend="openai", model="synthetic")
SYLLABLES = ("ba", "co", "di", "fu", "ge", "lo", "ma", "ni", "po", "ra", "se", "tu", "vi", "wo", "ze", "ki")


def make_run(folder: Path, pairs: int) -> None:
    """Writes a run of about so many pairs, in the order of the design (sorted by id)."""
    rng = random.Random(0)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(20_000)]
    videos = [f"v{i:07}" for i in range(max(10, pairs // 50))]

    def text(length: int) -> str:
        return " ".join(rng.choices(words, k=length))

    def write(kind: type[Record], records: Iterable[Record]) -> None:
        lines = sorted((record.id, record.model_dump_json()) for record in records)
        with (folder / kind.FILE).open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for _, line in lines)

    write(Video, (_video(video_id, text(6)) for video_id in videos))
    write(Caption, (Caption.create(video_id=video_id, text=text(60), teacher=TEACHER) for video_id in videos))
    facets = (Facet(text="one thing", modality="visual", span=Span(start=1, end=2)),) * 2
    kinds = ("event", "event", "temporal", "negation")
    queries = [
        Query.create(
            text=text(11),
            view="caption",
            kind=rng.choice(kinds),
            source_video_id=rng.choice(videos),
            facets=facets,
            language="en",
            teacher=TEACHER,
        )
        for _ in range(pairs // CANDIDATES)
    ]
    write(Query, queries)
    found: list[Pair] = []
    for query in queries:
        for rank, video_id in enumerate(dict.fromkeys([query.source_video_id, *rng.sample(videos, CANDIDATES - 1)]), 1):
            source = video_id == query.source_video_id
            hit = (FirstStage(run="bm25", rank=rank, score=20.0 - rank),)
            found.append(
                Pair.create(
                    query_id=query.query_id,
                    video_id=video_id,
                    origins=("source" if source else "mined",),
                    expected="yes" if source else "no",
                    first_stage=hit,
                )
            )
    write(Pair, found)
    labels = (_label(pair, rng, text(30)) for pair in found)
    with (folder / "unsorted").open("w", encoding="utf-8") as file:  # labels are the largest: sorted outside of memory
        file.writelines(f"{label.label_id}\t{label.model_dump_json()}\n" for label in labels)
    support: dict[str, str] = {}
    environment = {**os.environ, "LC_ALL": "C"}
    arguments = ["sort", "-k1,1", "-o", str(folder / "sorted"), str(folder / "unsorted")]
    subprocess.run(arguments, env=environment, check=True)
    with (folder / "sorted").open(encoding="utf-8") as lines, (folder / TeacherLabel.FILE).open("w") as file:
        for line in lines:
            label_id, body = line.rstrip("\n").split("\t", 1)
            support[json.loads(body)["pair_id"]] = label_id
            file.write(body + "\n")
    for name in ("sorted", "unsorted"):
        (folder / name).unlink()
    write(Judgment, (_judgment(pair, support[pair.pair_id]) for pair in found))


def _video(video_id: str, title: str) -> Video:
    return Video(
        video_id=video_id,
        path=f"{video_id}.mp4",
        sha256=digest(video_id),
        size_bytes=1,
        duration_s=9,
        fps=25,
        width=640,
        height=360,
        codec="h264",
        video_streams=1,
        has_audio=True,
        complete=True,
        metadata={"title": title},
    )


def _label(pair: Pair, rng: random.Random, reasoning: str) -> TeacherLabel:
    yes = pair.expected == "yes"
    margin = round(rng.gauss(6 if yes else -6, 2), 4)
    return TeacherLabel.create(
        pair_id=pair.pair_id,
        query_id=pair.query_id,
        video_id=pair.video_id,
        verdict="yes" if yes else "no",
        logit_margin=margin,
        p_yes=0.5,
        logprob_yes=-0.1,
        logprob_no=-6.0,
        exact=True,
        teacher=TEACHER,
        reasoning=reasoning,
    )


def _judgment(pair: Pair, label_id: str) -> Judgment:
    return Judgment(
        pair_id=pair.pair_id,
        query_id=pair.query_id,
        video_id=pair.video_id,
        grade=int(pair.expected == "yes"),
        source="teacher",
        support=(label_id,),
    )


def measure(run: Path, out: Path) -> dict[str, object]:
    """Exports in this process and says what it took."""
    load = os.getloadavg()[0]
    started, cpu = time.perf_counter(), time.process_time()
    summary = export(run, out, Settings(export=ExportSettings(licence="cc0-1.0")))
    return {
        "wall_s": round(time.perf_counter() - started, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_memory_mb": _peak_memory_mb(),
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[0], 1),
        "rows": summary.rows,
        "left_out": summary.left_out,
        "gate": {result.name: result.state for result in summary.gate},
        "dataset_mb": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) // 1_000_000,
    }


def _peak_memory_mb() -> int:
    """Of this process alone: `ru_maxrss` of a started process is at least what its parent held when it started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.measure.with_name("dataset"))))
        return
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        make_run(run, arguments.pairs)
        # A process of its own, so that its memory is that of the export alone.
        line = [sys.executable, __file__, "--measure", str(run)]
        told = json.loads(subprocess.run(line, stdout=subprocess.PIPE, check=True, text=True).stdout)
    libraries = ("datasets", "pyarrow", "pydantic", "scikit-learn", "numpy")
    machine = {
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in libraries},
    }
    text = json.dumps({"pairs": arguments.pairs, **told, "machine": machine}, indent=2) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
