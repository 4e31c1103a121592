"""`hardcut import`: files of others as inputs of `hardcut run`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from hardcut.publish.formats.imported import write_import
from hardcut.publish.formats.registry import read


def import_files(name: str, files: Sequence[Path], out: Path, videos: Path | None, *, as_json: bool) -> int:
    """Writes manifest, queries, judgments and first stage, and says what was found, what was skipped and why."""
    done = write_import(read(name, files), out, videos)
    if as_json:
        print(json.dumps({**asdict(done), "out": str(out)}, indent=2))
        return 0
    grades = ", ".join(f"grade {grade}: {count:,}" for grade, count in done.grades.items())
    print(
        f"found    {done.queries:,} queries, {done.videos:,} videos, {done.judgments:,} judgments ({grades or 'none'})"
    )
    print(f"splits   {', '.join(f'{split} {count:,}' for split, count in done.splits.items())}")
    if done.first_stage:
        print(f"         {done.first_stage:,} lines of a first stage")
    for reason, count in done.skipped.items():
        print(f"skipped  {count:,}: {reason}")
    if done.skipped:
        print(f"         each is in {out / 'skipped.jsonl'}")
    parts = [f"--{name} {out / file}" for name, file in _INPUTS.items() if (out / file).exists()]
    print(f"next     hardcut run {videos or 'VIDEOS'} --out RUN {' '.join(parts)}")
    return 0


_INPUTS = {
    "manifest": "manifest.jsonl",
    "queries": "queries.jsonl",
    "judgments": "judgments.jsonl",
    "first-stage": "first_stage.trec",
}
"""The options of `hardcut run`, and the files that they take."""
