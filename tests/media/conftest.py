"""Videos made on the spot: every picture carries its own number as bars, so that exactness can be measured."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

BITS = 12
_IS_LINUX = sys.platform == "linux"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "videos"


def draw(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A grey picture whose left to right bars are the bits of `number`, lowest first; the top left eighth is red."""
    picture = np.full((height, width, 3), 96, dtype=np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        picture[height // 2 :, left:right] = 235 if number >> bit & 1 else 20
    picture[: height // 4, : width // 4] = (220, 30, 30)
    return picture


def read_number(picture: NDArray[np.uint8]) -> int:
    """The number drawn into a picture of any size."""
    height, width, _ = picture.shape
    row = picture[height * 3 // 4].mean(axis=1)
    return sum(int(row[int((bit + 0.5) * width / BITS)] > 128) << bit for bit in range(BITS))


def is_red(picture: NDArray[np.uint8], corner: str) -> bool:
    """Whether the red mark is in that corner: tl, tr, bl or br."""
    height, width, _ = picture.shape
    y = height // 16 if corner[0] == "t" else height - 1 - height // 16
    x = width // 16 if corner[1] == "l" else width - 1 - width // 16
    red, green, _ = (int(value) for value in picture[y, x])
    return red > 150 and green < 90


@dataclass(frozen=True)
class Clip:
    """A rendered file: number `i` is on the screen from `times[i]` on."""

    path: Path
    times: tuple[float, ...]

    def shown_at(self, second: float) -> int:
        return max(0, int(np.searchsorted(self.times, second + 1e-9, side="right")) - 1)


Render = Callable[..., Clip]


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """render(name, count=, fps=, ...) -> Clip. `times` (seconds) go before `fps`; `second_size` adds a stream."""

    def make(
        name: str = "clip.mp4",
        *,
        count: int = 50,
        fps: float = 25,
        size: tuple[int, int] = (192, 128),
        codec: str = "libx264",
        times: Sequence[float] | None = None,
        display: tuple[int, bool, bool] | None = None,
        aspect: Fraction | None = None,
        second_size: tuple[int, int] | None = None,
        tone: float | None = None,
        tone_from: float = 0.0,
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        pix_fmt: str = "yuv420p",
        title: str | None = None,
    ) -> Clip:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = tuple(times) if times is not None else tuple(i / fps for i in range(count))
        # The quoted prefix keeps names with a colon or a per cent sign from being read as patterns.
        with av.open(f"file:{path}", "w", container_options=container_options or {}) as out:
            if title is not None:
                out.metadata["title"] = title
            streams: list[Any] = []
            for width, height in [size, *([second_size] if second_size else [])]:
                stream = out.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
                stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
                stream.codec_context.time_base = Fraction(1, 12800)
                stream.options = {"g": "12", "bf": "3", "crf": "18", "threads": "1", **(options or {})}
                if codec in ("mpeg4", "mpeg2video", "flv1"):
                    stream.options = {"g": "12", "bf": "2", "q": "2", **(options or {})}
                    stream.codec_context.time_base = 1 / Fraction(fps).limit_denominator(1001)
                if aspect:
                    stream.codec_context.sample_aspect_ratio = aspect
                if display:
                    stream.set_display_rotation(display[0], hflip=display[1], vflip=display[2])
                streams.append(stream)
            sound = out.add_stream("aac", rate=44100) if tone else None
            for number, second in enumerate(shown):
                for stream in streams:
                    frame = av.VideoFrame.from_ndarray(draw(number, stream.width, stream.height), format="rgb24")
                    frame.time_base = stream.codec_context.time_base
                    frame.pts = round(second / frame.time_base)
                    out.mux(stream.encode(frame))
            for stream in streams:
                out.mux(stream.encode(None))
            if sound is not None and tone:
                length = shown[-1] + 1 / fps - tone_from
                wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(int(length * 44100)) / 44100)
                for start in range(0, len(wave), 1024):
                    block = av.AudioFrame.from_ndarray(
                        wave[None, start : start + 1024].astype(np.float32), format="fltp", layout="mono"
                    )
                    block.sample_rate = 44100
                    block.pts = start + round(tone_from * 44100)
                    block.time_base = Fraction(1, 44100)
                    out.mux(sound.encode(block))
                out.mux(sound.encode(None))
        return Clip(path, shown)

    return make


@pytest.fixture(autouse=True)
def usual_priority() -> Iterator[None]:
    """SVT-AV1's encoder gives a process of root real-time priority, and its children with it: whatever else is on the
    machine stands still."""
    yield
    if _IS_LINUX and os.sched_getscheduler(0) != os.SCHED_OTHER:
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture
def number_of() -> Callable[[NDArray[np.uint8]], int]:
    return read_number


@pytest.fixture
def red_in() -> Callable[[NDArray[np.uint8], str], bool]:
    return is_red


@pytest.fixture(scope="session")
def shared_videos() -> list[Path]:
    """Real recordings beside the checkout, if there are any."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/videos beside the checkout")
    return sorted(path for path in SHARED.glob("*/*") if path.suffix in {".mp4", ".mkv", ".mov"})


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A file with sound and nothing else."""
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        block = av.AudioFrame.from_ndarray(np.zeros((1, 44100), dtype=np.float32), format="fltp", layout="mono")
        block.sample_rate = 44100
        out.mux(stream.encode(block))
        out.mux(stream.encode(None))
    return path
