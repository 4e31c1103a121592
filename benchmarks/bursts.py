"""Cuts and movement in videos of any length: a hard cut every 3 s, and nothing that moves.

    python benchmarks/bursts.py [MINUTES ...]

Renders a video of each length (default: 1, 4, 12 and 60 minutes), looks at it as a run does, and says how many cuts
were found and what was told to move. Writes `results/bursts.json` beside this file.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hardcut.engine.files import atomic_writer
from hardcut.media.ingest import ingest
from hardcut.schemas.settings import EvidenceSettings, MediaSettings
from hardcut.synth.evidence.motion import find_motion
from hardcut.synth.evidence.shots import told_cuts

SHOT_S = 3
FPS = 12
NEAR_S = 0.1
MINUTES = (1.0, 4.0, 12.0, 60.0)
_SIZE = 256, 144
_NOISES = 8


@dataclass(frozen=True, slots=True)
class Result:
    """Of one video: its cuts, how many of them were found, what else was taken for a cut, how many bursts were looked
    at for how long, which movements were told, and the processor time of both passes."""

    minutes: float
    cuts: int
    found: int
    wrong: int
    bursts: int
    looked_s: float
    movements: list[str]
    cuts_cpu_s: float
    motion_cpu_s: float


def render(path: Path, minutes: float) -> None:
    """A video whose picture is another one every 3 s, with a camera's noise, and stands still in between."""
    noises = [np.random.default_rng(seed).normal(0, 1.5, (_SIZE[1], _SIZE[0], 3)) for seed in range(_NOISES)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(FPS))
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 600_000
        for shot in range(round(minutes * 60 / SHOT_S)):
            picture = _scene(shot)
            for number in range(SHOT_S * FPS):
                noisy = (picture + noises[(shot + number) % _NOISES]).clip(0, 255).astype(np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        out.mux(stream.encode(None))


def _scene(seed: int) -> NDArray[np.float64]:
    """Soft structure in a colour of its own, the same for each seed."""
    generator = np.random.default_rng(seed)
    width, height = _SIZE
    coarse = generator.integers(40, 216, (height // 16, width // 16)).astype(np.uint8)
    grey = Image.fromarray(coarse).resize(_SIZE, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    tinted: NDArray[np.float64] = np.asarray(grey, dtype=np.float64)[..., None] * generator.uniform(0.5, 1.0, 3)
    return tinted


def look(path: Path, minutes: float, store: Path) -> Result:
    """Looks at a rendered video."""
    begun = time.process_time()
    survey = ingest(str(path), str(store), MediaSettings(), surveyed=True).survey
    seen = time.process_time()
    assert survey is not None
    told = [cut.time_s for cut in told_cuts(survey, EvidenceSettings().shot_threshold)]
    real = [float(second) for second in range(SHOT_S, round(minutes * 60), SHOT_S)]
    moving = [item.text for item in find_motion(survey.bursts) if item.text != "the camera stands still"]
    return Result(
        minutes=minutes,
        cuts=len(real),
        found=sum(any(abs(cut - second) <= NEAR_S for cut in told) for second in real),
        wrong=sum(all(abs(cut - second) > NEAR_S for second in real) for cut in told),
        bursts=len(survey.bursts),
        looked_s=round(survey.looked_s, 1),
        movements=moving,
        cuts_cpu_s=round(seen - begun, 1),
        motion_cpu_s=round(time.process_time() - seen, 1),
    )


def main(lengths: list[float]) -> None:
    """Writes the results of all lengths."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in lengths:
            path = Path(folder) / f"{minutes:g}.mp4"
            render(path, minutes)
            results.append(asdict(look(path, minutes, Path(folder) / "store")))
            print(results[-1])
    with atomic_writer(Path(__file__).with_name("results") / "bursts.json") as file:
        json.dump(
            {"python": platform.python_version(), "machine": platform.machine(), "videos": results}, file, indent=2
        )
        file.write("\n")


if __name__ == "__main__":
    main([float(given) for given in sys.argv[1:]] or list(MINUTES))
