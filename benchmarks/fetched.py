"""What it costs that videos lie in a tar: its listing, and each file on its way through the bounded folder.

    python benchmarks/fetched.py [--members 10000] [--out benchmarks/results/fetched.json]

The tar has members of 64 kB, each with a sidecar. `copy` is the bare cost: the same members copied out by `tarfile`,
flushed to the disk as we do. Processor and wall time of one process, all in one run on the same disk.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer
from hardcut.media.collection import Collection
from hardcut.media.sources import open_source
from hardcut.schemas.sources import SourceSettings

SIZE = 64_000
_HERE = Path(__file__).resolve().parent


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--members", type=int, default=10_000)
    options.add_argument("--out", type=Path, default=_HERE / "results" / "fetched.json")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.members)
    with atomic_writer(given.out) as file:
        json.dump(found, file, indent=2)
    print(json.dumps(found, indent=2))


def measure(folder: Path, members: int) -> dict[str, Any]:
    """All figures. `limit` is the size of the bounded folder: a fifth of the videos."""
    tar, limit = folder / "clips.tar", max(2**20, members * SIZE // 5)
    _write(tar, members)
    settings = SourceSettings(cache_bytes=limit)

    def opened() -> Collection:
        return open_source(str(tar), None, (), settings, folder / "cache")

    collection, first = _timed(opened)
    _, again = _timed(opened)
    _, copied = _timed(lambda: _copy(tar, folder / "copy"))
    most, done = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(folder / "cache" / "files", most, done))
    watcher.start()
    _, fetched = _timed(lambda: asyncio.run(_fetch(collection)))
    done.set()
    watcher.join()
    return {
        "members": members, "size": SIZE, "limit": limit, "most_on_disk": most[0],
        "first_listing": first, "listing_again": again, "copy": copied, "fetch": fetched,
        "fetch_over_copy": {name: round(fetched[name] / copied[name], 2) for name in ("wall_s", "processor_s")},
    }  # fmt: skip


def _write(path: Path, members: int) -> None:
    body = os.urandom(SIZE)
    with tarfile.open(path, "w") as tar:
        for number in range(members):
            for suffix, content in (("mp4", body), ("json", b'{"title": "%d"}' % number)):
                info = tarfile.TarInfo(f"{number // 1000:03d}/{number:08d}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def _copy(path: Path, out: Path) -> None:
    with tarfile.open(path) as tar:
        for member in tar:
            target = out / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            if member.name.endswith(".mp4") and content:
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file)
                    file.flush()
                    os.fsync(file.fileno())


async def _fetch(collection: Collection) -> None:
    waiting = asyncio.Semaphore(64)

    async def one(name: str) -> None:
        assert collection.fetched
        async with waiting, collection.fetched.held((name, None)):
            pass

    await asyncio.gather(*(one(file.relative) for file in collection.files))


def _watch(folder: Path, most: list[int], done: threading.Event) -> None:
    import fcntl

    while not done.wait(2.0):
        with (folder / "size").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # nobody makes or takes room meanwhile
            sizes = (path.stat().st_size for path in folder.glob("*/files/**/*") if path.is_file())
            most[0] = max(most[0], sum(sizes))


def _timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    wall, processor = time.perf_counter(), time.process_time()
    found = work()
    return found, {
        "wall_s": round(time.perf_counter() - wall, 2),
        "processor_s": round(time.process_time() - processor, 2),
    }


if __name__ == "__main__":
    main()
