"""What evidence of a long video costs beside that of a short one: processor time for each second looked at, and memory.

    python benchmarks/long_video.py [MINUTES ...] [--beside CHECKOUT] [--out FILE]

Renders a video of each length (default: 1, 10 and 60 minutes): another scene every 6 s with a thing that crosses it and
a caption. `hardcut run` does `probe` and then `evidence`, each in a process of its own. Memory is that of the largest
process. With a checkout of another version (git worktree add) that one does each video too, right before ours.
Writes `results/long_video.json` beside this file. A first run over a short video is not measured: it leaves the
bytecode that an installed package has.

A second that was looked at is a second of the bursts that movement is looked for in: all of a video of up to
120 s, 121 s of an hour. Text is looked for in the stored frames, of which there are 240 in both.
"""

from __future__ import annotations

import argparse
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


def measure(videos: Path, minutes: float, folder: Path, bytecode: Path, checkout: Path | None = None) -> Cost:
    """Both stages over a folder with one video, by this version or by that of another checkout."""
    probe = _run(videos, folder, "probe", bytecode, checkout)
    evidence = _run(videos, folder, "evidence", bytecode, checkout)
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


def _run(videos: Path, folder: Path, until: str, bytecode: Path, checkout: Path | None) -> tuple[float, int]:
    """Processor seconds of `hardcut run` with all its processes, and MiB of the largest of them."""
    command = ["run", str(videos), "--out", str(folder / "run"), "--cache", str(folder / "cache"), "--until", until]
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # so that the children are those of this run alone
        return pool.apply(_measured, (command, bytecode, checkout))


def _measured(command: list[str], bytecode: Path, checkout: Path | None) -> tuple[float, int]:
    before = [str(checkout / "src")] if checkout else []
    path = os.pathsep.join([*before, os.environ.get("PYTHONPATH", "")])
    kept = {"PYTHONPYCACHEPREFIX": str(bytecode), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(
        [sys.executable, "-c", "from hardcut.cli.app import main; main()", *command],
        check=True,
        capture_output=True,
        env={**os.environ, **kept, "PYTHONPATH": path},
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, round(used.ru_maxrss / 1024)


def main() -> None:
    """Writes the costs of all lengths."""
    parser = argparse.ArgumentParser()
    parser.add_argument("minutes", type=float, nargs="*", default=list(MINUTES))
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results") / "long_video.json")
    given = parser.parse_args()
    beside = given.beside.resolve() if given.beside else None
    costs, others = [], []
    with tempfile.TemporaryDirectory() as name:
        bytecode = Path(name) / "bytecode"
        for minutes in (SCENE_S / 60, *given.minutes):
            folder = Path(name) / f"{minutes:g}"
            (folder / "videos").mkdir(parents=True)
            render(folder / "videos" / "long.mp4", minutes)
            if beside:
                others.append(asdict(measure(folder / "videos", minutes, folder / "other", bytecode, beside)))
                print(others[-1], flush=True)
            costs.append(asdict(measure(folder / "videos", minutes, folder / "ours", bytecode)))
            print(costs[-1], flush=True)
    costs, others = costs[1:], others[1:]
    machine = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    with atomic_writer(given.out) as file:
        json.dump({"machine": machine, "videos": costs, **({"beside": others} if others else {})}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
