"""Makes `docs/consumers.md`: `python page.py CONSUMERS BASE TRAIN`, folders of environments, as `make test-consumers` does.

Every consumer of the list is tried in its environment. What is not installed keeps the row that it had.
"""

# ruff: noqa: E501 - paragraphs of a page, a line each
from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "consumers.md"
TRIES = (
    ("base", "read_datasets.py"),
    ("base", "read_tables.py", "pandas"),
    ("base", "read_tables.py", "polars"),
    ("base", "read_tables.py", "duckdb"),
    ("base", "read_ir_measures.py"),
    ("light-old", "read_tables.py", "pandas"),
    ("light-old", "read_tables.py", "polars"),
    ("light-old", "read_tables.py", "duckdb"),
    ("light-old", "read_ir_measures.py"),
    ("datasets-old", "read_datasets.py"),
    ("train", "read_sentence_transformers.py"),
    ("train", "train_sentence_transformers.py", "TINY"),
    ("sentence-transformers-old", "read_sentence_transformers.py"),
    ("sentence-transformers-old", "train_sentence_transformers.py", "TINY"),
    ("train", "read_tevatron.py", "TEVATRON"),
    ("rankvideo", "train_rankvideo.py", "TINY", "RANKVIDEO"),
    ("mteb", "read_mteb.py"),
    ("mteb-old", "read_mteb.py"),
    ("trl", "read_trl.py"),
    ("trl-old", "read_trl.py"),
    ("ms-swift", "read_ms_swift.py"),
    ("ms-swift-old", "read_ms_swift.py"),
    ("flag-embedding", "read_flag_embedding.py"),
    ("flag-embedding-old", "read_flag_embedding.py"),
    ("llama-factory", "read_llama_factory.py"),
    ("llama-factory-old", "read_llama_factory.py"),
)
"""Environment, script, and what the script is given behind the exports. One whose environment ends with `-old` is of a
pinned version beside the newest. Names in capitals stand for folders."""
BACK = ("mteb", "rankvideo", "trec")
"""Formats that `hardcut import` reads too; tests/publish/test_importers.py has them come back."""
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
**Trained on.** A small Qwen3-VL of random weights takes three steps on the exported videos, and the weights that look at pictures must have moved. sentence-transformers trains a CrossEncoder on each of its five files, with the loss that the file is for, and a bi-encoder on two (groups and triplets). RANKVIDEO's second stage reads, batches, collates and computes its loss with its own code; its LoRA and its settings for GPUs are left out.

The others do not train here: their own loaders, parsers and collators read the files.

**Of no registry.** RANKVIDEO's code is on none, and what is there of Tevatron is of 2022 and knows no videos. Both are tried from a checkout (`make test-consumers RANKVIDEO=DIR TEVATRON=DIR`). Their version is git's name of the file that reads: `train_reranker.py` as of commit 833f712, `dataset.py` as of 0a9626f.

**Frames.** TRL has no column for videos, so a video is up to 8 frames. FlagEmbedding holds texts alone. `datasets` takes members of a WebDataset shard for videos where they end in .mp4 or .mkv.

Decoding a video column (`media`, MTEB's corpus) takes torchcodec, and so does a path that is given to sentence-transformers. The wheel of torchcodec needs CUDA's libraries, which are not here: the column's kind and paths were looked at, and for training the paths were made frames.

**Versions.** Every library of a registry is tried in two versions: the newest, and a pinned older one that goes with the same torch and transformers. FlagEmbedding does not go with transformers 5, so it has an older one. LLaMA-Factory imports torchaudio, of which there is none for this torch: an empty module stands in for it, and its check of versions is off.

`triplets` is a CSV of texts alone, so it has no row here: `tests/publish/test_triplets.py` reads it back.
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("consumers", "base", "train"):
        parser.add_argument(name, type=Path)
    for name in ("--tevatron", "--rankvideo"):
        parser.add_argument(name, type=Path, help="a checkout")
    told = parser.parse_args()
    folders = {"TINY": told.consumers / "tiny", "TEVATRON": told.tevatron, "RANKVIDEO": told.rankvideo}
    rows = {tuple(cells[:2]): cells for cells in _known()}
    today, failed = datetime.now(UTC).date().isoformat(), []
    for environment, script, *given in TRIES:
        home = {"base": told.base, "train": told.train}.get(environment, told.consumers / environment)
        if not (home / "bin" / "python").exists() or any(folders.get(one, home) is None for one in given):
            print(f"{environment} {script}: not here; its row stays")
            continue
        arguments = [str(folders.get(one, one)) for one in given]
        found = _tried(home, script, [str(told.consumers / "exports"), *arguments])
        if isinstance(found, str):
            failed.append(f"{environment} {script}: {found}")
            print(f"{environment} {script}: FAILED", flush=True)
            continue
        consumer, version = found["consumer"], found["version"]
        if environment.endswith("-old"):
            consumer = f"{consumer} {'.'.join(version.split('.')[:2])}"
        print(f"{environment} {script}: {version}", flush=True)
        for format, meant in found["formats"].items():
            back = "yes" if format in BACK else "no importer"
            rows[format, consumer] = [format, consumer, version, *meant.values(), back, today]
        _write(rows.values())  # what was tried stays where a later one is interrupted
    if failed:
        raise SystemExit("\n".join(failed))


def _write(rows: Iterable[Sequence[str]]) -> None:
    lines = [f"| `{format}` | {' | '.join(cells)} |\n" for format, *cells in sorted(rows)]
    PAGE.write_text(HEAD + "".join(lines) + TAIL, encoding="utf-8", newline="\n")


def _tried(home: Path, script: str, arguments: list[str]) -> dict[str, Any] | str:
    """What a script tells in its last line, or the end of its error."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}
    line = [str(home / "bin" / "python"), str(HERE / script), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=3_600, check=False)
    if done.returncode:
        return done.stderr[-2000:]
    found: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines()[::-1] if line.startswith("{")))
    return found


def _known() -> list[list[str]]:
    if not PAGE.exists():
        return []
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


if __name__ == "__main__":
    main()
