"""How fast text is read and flow is computed through our worker pool, beside the bare libraries on the same frames.

    python benchmarks/evidence.py [CLIPS]

Takes the first clips of the bundled sample (default: 10), stores their frames, and lets two workers of ours and two
plain processes of the standard library do the same frames in turn, three times; the best round of each counts. Bare
RapidOCR finds and reads all lines of every frame that we look at; bare flow is OpenCV's DIS between all neighbours of
the bursts that are kept for movement. What is ours does all that a stage does with them: lines followed over frames;
flow there and back at two scales, the camera, regions and proofs. Writes `results/evidence.json` beside this file.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hardcut.data.bundled import sample_files
from hardcut.engine.files import atomic_writer
from hardcut.engine.pool import WorkerPool
from hardcut.media.collection import scan
from hardcut.media.ingest import ingest
from hardcut.media.survey import Burst
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.lines import read_lines, thinned
from hardcut.synth.evidence.motion import find_motion
from hardcut.synth.evidence.pictures import load_image

WORKERS = 2
ROUNDS = 3
SETTINGS = EvidenceSettings()


@cache
def _rapid() -> Any:
    from rapidocr import RapidOCR

    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    size = {"Det.limit_type": "max", "Det.limit_side_len": SETTINGS.ocr_side}
    return RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False, **threads, **size})


def bare_ocr(paths: Sequence[Path]) -> int:
    """Lines read: all of every frame."""
    return sum(len(_rapid()(load_image(path)).txts or ()) for path in paths)


def bare_flow(bursts: Sequence[Burst]) -> int:
    """Flow fields between neighbours."""
    import cv2

    engine: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    count = 0
    for burst in bursts:
        greys = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in burst.pictures()]
        for one, other in pairwise(greys):
            engine.calc(one, other, None)
            count += 1
    return count


def bare(work: Callable[[Any], int], videos: Sequence[Any]) -> Callable[[], float]:
    """Seconds that two plain processes take; they are warm."""
    pool = ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))
    list(pool.map(work, [videos[0][:2]] * WORKERS * 2))

    def once() -> float:
        start = time.perf_counter()
        list(pool.map(work, videos))
        return time.perf_counter() - start

    return once


def ours(work: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Callable[[], float]:
    """Seconds that two of our workers take; they are warm."""

    def once() -> float:
        async def run() -> float:
            with WorkerPool(WORKERS, timeout_s=600) as pool:
                await asyncio.gather(*(pool.call(work, *calls[0]) for _ in range(WORKERS)))
                start = time.perf_counter()
                await asyncio.gather(*(pool.call(work, *call) for call in calls))
                return time.perf_counter() - start

        return asyncio.run(run())

    return once


def compare(count: int, **runs: Callable[[], float]) -> dict[str, float]:
    """Frames a second and core of each, in turn, the best of three; and ours over bare."""
    best = {name: run() for name, run in runs.items()}
    for _ in range(ROUNDS - 1):
        best = {name: min(best[name], run()) for name, run in runs.items()}
    rates = {f"{name}_frames_per_s_core": round(count / seconds / WORKERS, 2) for name, seconds in best.items()}
    ratios = {f"{name}_over_bare": round(best["bare"] / best[name], 3) for name in best if name != "bare"}
    return {"frames": count, **rates, **ratios}


def main(clips: int) -> None:
    """Measures, prints and writes the result."""
    with sample_files() as sample, tempfile.TemporaryDirectory() as store:
        files = scan(sample / "videos").files[:clips]
        ingested = [ingest(str(file.path), store, MediaSettings(), surveyed=True) for file in files]
        sets = [one.frames for one in ingested]
        looks = [one.survey.bursts for one in ingested if one.survey]
        looked_at = [[frame.path for frame in thinned(one.frames, SETTINGS.ocr_fps)] for one in sets]
        reading = [(one.frames, one.duration_s, SETTINGS) for one in sets]
        text = compare(sum(map(len, looked_at)), bare=bare(bare_ocr, looked_at), ours=ours(read_lines, reading))
        text["bare_lines"] = sum(bare_ocr(paths) for paths in looked_at)
        text["our_lines_followed"] = sum(len(read_lines(*call)[0]) for call in reading)
        text["bare_lines_per_s_core"] = round(text["bare_lines"] / text["frames"] * text["bare_frames_per_s_core"], 2)
        flow = compare(
            sum(len(burst.times) for bursts in looks for burst in bursts),
            bare=bare(bare_flow, looks),
            all_of_motion=ours(find_motion, [(bursts,) for bursts in looks]),
        )
    result = {
        "machine": {
            "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": platform.system(),
            "python": platform.python_version(),
            **{package: version(package) for package in ("rapidocr", "onnxruntime", "opencv-python", "numpy")},
        },
        "clips": clips,
        "workers": WORKERS,
        "ocr": text,
        "flow": flow,
    }
    print(json.dumps(result, indent=2))
    with atomic_writer(Path(__file__).parent / "results" / "evidence.json") as file:
        json.dump(result, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 10)
