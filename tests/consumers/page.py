"""Makes `docs/consumers.md`: `python page.py EXPORTS PYTHON=SCRIPT ...`, each script run with that Python. Rows of
consumers that are not among them stay as they are."""

# ruff: noqa: E501 - paragraphs of a page, a line each
from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "consumers.md"
BACK = ("mteb", "rankvideo", "trec")
"""Formats that `hardcut import` reads too; tests/publish/test_importers.py has them come back."""
UNTRIED = {
    ("rankvideo", "RANKVIDEO"): "its code is on no package registry; columns as its train_reranker.py reads them",
    ("tevatron", "Tevatron"): "the registry has 0.1.0 of 2022 alone; columns as its TrainDataset reads them",
}
HEAD = """# Who can read it

Every format is opened by the library that it is for, unmodified, and asked what it means. `make test-consumers` makes this page; `make test` looks at the rows of light libraries again.

The exports are those of ten clips with queries in four scripts, one query that starts from a video, a .webm, a copy, and a split without rows. The columns:

- **a video is a video**: each row shows a file that is there, and the library takes it for a video, not for a text;
- **composed queries**: they leave with the video that they start from, or are left out and counted;
- **no later split's video**: no row shows a video that is held out for a later split;
- **comes back**: queries, videos and splits are the same after `hardcut import`.

| format | library | version | a video is a video | composed queries | no later split's video | comes back | tried |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""
TAIL = """
TRL has no column for videos, so a video is up to 8 frames. FlagEmbedding holds texts alone. `datasets` takes members of a WebDataset shard for videos where they end in .mp4 or .mkv. Decoding a video column (`media`, MTEB's corpus) takes torchcodec, whose wheels did not go with the CPU build of torch here: the column's kind and paths were looked at.

FlagEmbedding 1.4 does not go with transformers 5, so it has an older one. LLaMA-Factory imports torchaudio, of which there is none for this torch: an empty module stands in for it, and its check of versions is off.

`triplets` is a CSV of texts alone, so it has no row here: `tests/publish/test_triplets.py` reads it back.

No library trained a step here. Their own loaders, parsers and collators read the files.
"""


def main(exports: str, *tries: str) -> None:
    rows = {tuple(cells[:2]): cells for cells in _known()}
    today = datetime.now(UTC).date().isoformat()
    for one in tries:
        python, _, script = one.partition("=")
        name, *more = script.split(":")
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}
        line = [python, str(HERE / name), exports, *more]
        done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=600, check=False)
        if done.returncode:
            raise SystemExit(f"{script}: {done.stderr[-2000:]}")
        told = json.loads(next(line for line in done.stdout.splitlines()[::-1] if line.startswith("{")))
        for format, found in told["formats"].items():
            consumer, version = told["consumer"], told["version"]
            if consumer == "datasets" and int(version.split(".")[0]) < 4:
                consumer = "datasets 3"
            back = "yes" if format in BACK else "no importer"
            rows[format, consumer] = [format, consumer, version, *found.values(), back, today]
    for (format, consumer), why in UNTRIED.items():
        back = "yes" if format in BACK else "no importer"
        rows[format, consumer] = [format, consumer, "-", why, "left out", "as in the dataset", back, "not tried"]
    lines = [f"| `{format}` | {' | '.join(cells)} |\n" for format, *cells in sorted(rows.values())]
    PAGE.write_text(HEAD + "".join(lines) + TAIL, encoding="utf-8", newline="\n")


def _known() -> list[list[str]]:
    if not PAGE.exists():
        return []
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


if __name__ == "__main__":
    main(*sys.argv[1:])
