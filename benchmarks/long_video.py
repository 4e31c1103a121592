"""What evidence of a long video costs beside that of a short one: processor time for each second looked at, and memory.

    python benchmarks/long_video.py [MINUTES ...]

Renders a video of each length (default: 1, 10 and 60 minutes): another scene every 6 s with a thing that crosses it and
a caption. `hardcut run` does `probe` and then `evidence`, each in a process of its own. Memory is that of the largest
process. Writes `results/long_video.json` beside this file.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hardcut.engine.files import atomic_writer
from hardcut.engine.run_files import RunFiles
from hardcut.schemas.records import Evidence, Video

SCENE_S, FPS = 6, 12
MINUTES = (1.0, 10.0, 60.0)
_SIZE = 320, 180
_CAPTIONS = ("HARBOUR", "MARKET", "STATION", "GARDEN", "LIBRARY", "BRIDGE")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one video: for how long it was looked at, what was found, and what both stages took."""

    minutes: float
    looked_s: float
    evidence: int
    probe_cpu_s: float
    evidence_cpu_s: float
    evidence_cpu_s_a_looked_second: float
    probe_memory_mib: int
    evidence_memory_mib: int


def render(path: Path, minutes: float) -> None:
    """A video of scenes in which a disc goes from left to right over soft structure, with a word on top."""
    font = ImageFont.load_default(24)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(FPS))
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 600_000
        for scene in range(round(minutes * 60 / SCENE_S)):
            generator = np.random.default_rng(scene)
            coarse = generator.integers(60, 180, (12, 20, 3)).astype(np.uint8)
            ground = Image.fromarray(coarse).resize(_SIZE, Image.Resampling.BICUBIC)
            for number in range(SCENE_S * FPS):
                picture = ground.copy()
                draw = ImageDraw.Draw(picture)
                x = 20 + 280 * number / (SCENE_S * FPS)
                draw.ellipse((x - 18, 92, x + 18, 128), fill=(220, 30, 30))
                draw.text((20, 14), _CAPTIONS[scene % len(_CAPTIONS)], font=font, fill=(255, 255, 255))
                out.mux(stream.encode(av.VideoFrame.from_image(picture)))
        out.mux(stream.encode(None))


def measure(videos: Path, minutes: float, folder: Path) -> Cost:
    """Both stages over a folder with one video."""
    probe = _run(videos, folder, "probe")
    evidence = _run(videos, folder, "evidence")
    [video] = RunFiles(folder / "run").read(Video)
    looked_s = video.looked_s or video.duration_s
    return Cost(
        minutes=minutes,
        looked_s=round(looked_s, 1),
        evidence=sum(1 for _ in RunFiles(folder / "run").read(Evidence)),
        probe_cpu_s=round(probe[0], 1),
        evidence_cpu_s=round(evidence[0], 1),
        evidence_cpu_s_a_looked_second=round(evidence[0] / looked_s, 3),
        probe_memory_mib=probe[1],
        evidence_memory_mib=evidence[1],
    )


def _run(videos: Path, folder: Path, until: str) -> tuple[float, int]:
    """Processor seconds of `hardcut run` with all its processes, and MiB of the largest of them."""
    command = ["run", str(videos), "--out", str(folder / "run"), "--cache", str(folder / "cache"), "--until", until]
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # so that the children are those of this run alone
        return pool.apply(_measured, (command,))


def _measured(command: list[str]) -> tuple[float, int]:
    subprocess.run(
        [sys.executable, "-c", "from hardcut.cli.app import main; main()", *command], check=True, capture_output=True
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, round(used.ru_maxrss / 1024)


def main(lengths: list[float]) -> None:
    """Writes the costs of all lengths."""
    costs = []
    for minutes in lengths:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "videos").mkdir()
            render(folder / "videos" / "long.mp4", minutes)
            costs.append(asdict(measure(folder / "videos", minutes, folder)))
            print(costs[-1], flush=True)
    machine = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    with atomic_writer(Path(__file__).with_name("results") / "long_video.json") as file:
        json.dump({"machine": machine, "videos": costs}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main([float(given) for given in sys.argv[1:]] or list(MINUTES))
