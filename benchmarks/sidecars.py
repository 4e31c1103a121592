"""What a start reads that has seen a folder before: the listing of videos with files of metadata beside them.

    python benchmarks/sidecars.py [--videos 20000] [--out benchmarks/results/sidecars.json]

Each video is an empty file with what a downloader leaves: a `.info.json` of 40 kB, most of which is about the download.
The folder is listed without a memory, then with one that is new, then again, in one process, all from the page cache of
one machine: over a network each file that is opened costs more.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer
from hardcut.media import collection
from hardcut.media.collection import Collection, scan
from hardcut.media.known_sidecars import KnownSidecars

SIZE = 40_000
_HERE = Path(__file__).resolve().parent
_SETTLED_S = 2.5


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--videos", type=int, default=20_000)
    options.add_argument("--out", type=Path, default=_HERE / "results" / "sidecars.json")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.videos)
    with atomic_writer(given.out) as file:
        json.dump(found, file, indent=2)
        file.write("\n")
    print(json.dumps(found, indent=2))


def measure(folder: Path, videos: int) -> dict[str, Any]:
    """Seconds and files opened of each listing; `share` is that of a listing that reads all."""
    root, memory = folder / "videos", folder / "memory.json"
    _write(root, videos)
    time.sleep(_SETTLED_S)  # what was written just now is not yet known
    every, all_read = _listed(root, None)
    first, new = _listed(root, memory)
    again, known = _listed(root, memory)
    if not every == first == again:
        raise SystemExit("the listings differ")
    share = {name: round(known[name] / all_read[name], 3) for name in ("processor_s", "wall_s")}
    return {
        "videos": videos, "sidecar_bytes": SIZE, "memory_bytes": memory.stat().st_size,
        "all_read": all_read, "first": new, "again": known, "share": share,
    }  # fmt: skip


def _listed(root: Path, memory: Path | None) -> tuple[Collection, dict[str, float]]:
    opened, read = [0], collection._bytes_of

    def counted(path: str) -> bytes:
        opened[0] += 1
        return read(path)

    collection._bytes_of = counted
    began, start = time.perf_counter(), time.process_time()
    found = scan(root, known=KnownSidecars(memory))
    processor, wall = time.process_time() - start, time.perf_counter() - began
    collection._bytes_of = read
    return found, {"processor_s": round(processor, 2), "wall_s": round(wall, 2), "opened": opened[0]}


def _write(root: Path, videos: int) -> None:
    formats = [{"format_id": str(number), "url": os.urandom(150).hex(), "height": 720} for number in range(110)]
    told = {"title": "", "description": "What is to be seen here. " * 40, "tags": ["a", "b"], "formats": formats}
    for number in range(videos):
        video = root / f"{number // 1000:03d}" / f"{number:08d}"
        video.parent.mkdir(parents=True, exist_ok=True)
        video.with_suffix(".mp4").touch()
        video.with_suffix(".info.json").write_text(json.dumps({**told, "title": f"Number {number}"}))


if __name__ == "__main__":
    main()
