"""How fast pictures are decoded and stored, beside bare PyAV, and what memory a long and a large video take.

    python benchmarks/media.py

Throughput: the same rendered files, every picture of them, by two of our workers (probe, timeline, sampling; pictures
counted and not stored, then with JPEGs) and by two processes that do nothing but decode and convert with PyAV, in
turns, best of three. Ours includes reading and hashing each file. Memory: the
peak of a process that ingests an hour of video, and 4K. Writes `results/media.json` beside this file.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import av
import numpy as np

from hardcut.engine.files import atomic_writer
from hardcut.engine.pool import WorkerPool
from hardcut.media.ingest import ingest
from hardcut.media.probe import probe
from hardcut.media.readers import open_samples
from hardcut.schemas.settings import MediaSettings

WORKERS = 2
FILES = 4
ROUNDS = 3
EVERY = MediaSettings(fps=60, max_frames=100_000)


def render(path: Path, size: tuple[int, int], seconds: float, rate: int = 25, group: int = 50) -> Path:
    """Moving gradients with noise, H.264 with B-frames."""
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))  # other content for each: equal files are read once
    width, height = size
    noise = rng.integers(0, 24, (height, width, 3), dtype=np.uint8)
    ramp = np.linspace(0, 200, width, dtype=np.uint8)[None, :, None]
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "g": str(group), "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(int(seconds * rate)):
            picture = np.roll(noise + ramp, 7 * number, axis=1)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def repeated(source: Path, target: Path, times: int) -> Path:
    """The packets of `source`, `times` over: a long file in no time."""
    with av.open(str(target), "w") as out:
        stream: Any = None
        for turn in range(times):
            with av.open(str(source)) as given:
                video = given.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                length = int(video.duration or 0)
                for packet in given.demux(video):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + turn * length, packet.dts + turn * length
                    packet.stream = stream
                    out.mux(packet)
    return target


def ours(path: str) -> tuple[int, float]:
    """In a worker: all that `ingest` does but the JPEGs. Returns pictures and seconds of the processor."""
    begun = time.process_time()
    probe(path)
    return sum(1 for _ in open_samples(path, EVERY)), time.process_time() - begun


def stored(path: str, store: str) -> tuple[int, float]:
    """The same with the JPEGs."""
    begun = time.process_time()
    return len(ingest(path, store, EVERY).frames.frames), time.process_time() - begun


def bare(path: str) -> tuple[int, float]:
    """In a process: decode and convert, and nothing else."""
    begun = time.process_time()
    count = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for frame in container.decode(stream):
            frame.reformat(*_half(frame.width, frame.height), "rgb24", interpolation="AREA").to_ndarray()
            count += 1
    return count, time.process_time() - begun


def _half(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, (EVERY.max_pixels / (width * height)) ** 0.5)
    return int(width * scale + 1e-9) // 2 * 2, int(height * scale + 1e-9) // 2 * 2


async def through_workers(fn: Any, arguments: list[tuple[str, ...]]) -> tuple[list[tuple[int, float]], float]:
    """The results and the seconds from the first call to the last, the workers being warm."""
    with WorkerPool(WORKERS, timeout_s=600) as pool:
        await asyncio.gather(*(pool.call(bare, arguments[0][0]) for _ in range(WORKERS)))
        begun = time.perf_counter()
        results = await asyncio.gather(*(pool.call(fn, *given) for given in arguments))
        return results, time.perf_counter() - begun


def through_processes(paths: list[str]) -> tuple[list[tuple[int, float]], float]:
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        pool.map(bare, paths[:1] * WORKERS, chunksize=1)
        begun = time.perf_counter()
        results = pool.map(bare, paths, chunksize=1)
        return results, time.perf_counter() - begun


def throughput(folder: Path) -> dict[str, Any]:
    """Pictures a second: by the clock, which shows what the pool costs, and by processor time, which no load bends."""
    paths = [str(render(folder / f"{number}.mp4", (1280, 720), 4)) for number in range(FILES)]
    clock: dict[str, list[float]] = {"bare": [], "sampling": [], "ingest": []}
    processor: dict[str, list[float]] = {"bare": [], "sampling": [], "ingest": []}
    for turn in range(ROUNDS):
        found = {
            "bare": through_processes(paths),
            "sampling": asyncio.run(through_workers(ours, [(path,) for path in paths])),
            "ingest": asyncio.run(through_workers(stored, [(path, str(folder / f"store-{turn}")) for path in paths])),
        }
        counts = {name: sum(count for count, _ in results) for name, (results, _) in found.items()}
        if len(set(counts.values())) != 1:
            raise SystemExit(f"not the same pictures: {counts}")
        for name, (results, seconds) in found.items():
            clock[name].append(counts[name] / seconds / WORKERS)
            processor[name].append(counts[name] / sum(spent for _, spent in results))
    told: dict[str, Any] = {}
    for kind, rates in (("by_clock_and_worker", clock), ("by_processor_second", processor)):
        best = {name: max(values) for name, values in rates.items()}
        told[kind] = {name: round(value, 1) for name, value in best.items()}
        told[kind]["sampling_share_of_bare"] = round(best["sampling"] / best["bare"], 3)
    return told


def alone(path: Path, folder: Path, **settings: Any) -> dict[str, float]:
    """Ingests in a process of its own: seconds, frames, and the peak of its memory."""
    command = [sys.executable, __file__, "--one", str(path), str(folder), json.dumps(settings)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(path: str, store: str, settings: dict[str, Any]) -> dict[str, float]:
    begun = time.perf_counter()
    made = ingest(path, store, MediaSettings(**settings))
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return {
        "video_s": round(made.frames.duration_s, 1),
        "frames": len(made.frames.frames),
        "seconds": round(seconds, 2),
        "peak_rss_mib": round(peak, 1),
    }


def main() -> None:
    """Measures, prints and writes the result."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result: dict[str, Any] = {"throughput": throughput(folder)}
        minute = render(folder / "minute.mp4", (320, 180), 60)
        result["memory"] = {
            "one minute": alone(minute, folder / "a"),
            "one hour": alone(repeated(minute, folder / "hour.mp4", 60), folder / "b"),
            "one hour, keyframes": alone(folder / "hour.mp4", folder / "c", mode="keyframes"),
            "4K, 2 s": alone(render(folder / "4k.mp4", (3840, 2160), 2), folder / "d"),
        }
    result["machine"] = {
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": round(LOAD, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "av": av.__version__,
        "numpy": np.__version__,
    }
    print(json.dumps(result, indent=2))
    with atomic_writer(Path(__file__).parent / "results" / "media.json") as file:
        json.dump(result, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))))
    else:
        LOAD = os.getloadavg()[0]
        main()
