"""Which altered copies of a clip are found as near duplicates, and which strangers are taken for copies.

    python benchmarks/copies.py VIDEOS [--out benchmarks/results/copies.json]

Each clip is altered in each way, looked at as a run does, and compared with its source, as the stage `duplicates` does:
the pair must meet by hashes and be one recording. Strangers are all pairs of different clips, as they are and altered.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont, ImageOps

from hardcut.engine.files import atomic_writer
from hardcut.media.duplicates import FRAMES, Fingerprint, candidate_pairs, fingerprint, same_recording
from hardcut.media.ingest import ingest
from hardcut.schemas.settings import MediaSettings

Alter = Callable[[Image.Image, float], Image.Image]
LONGEST_S = 12.0


def logo(image: Image.Image, at: float) -> Image.Image:
    """A bright mark of an eighth of the width in the upper right corner."""
    width = image.width
    side = width // 8
    ImageDraw.Draw(image).rounded_rectangle(
        (width - side - 8, 8, width - 8, 8 + side // 2), side // 8, fill=(240, 60, 40), outline=(255, 255, 255), width=3
    )
    return image


def subtitles(image: Image.Image, at: float) -> Image.Image:
    """Two lines of white text with a dark edge, others every two seconds."""
    width, height = image.size
    text = ("I never thought it would\ncome to this", "So what do we do now?", "Wait until it is dark,\nthen we go")[
        int(at / 2) % 3
    ]
    ImageDraw.Draw(image).multiline_text(
        (width // 2, height - height // 20), text, font=ImageFont.load_default(height // 16), anchor="md",
        align="center", fill=(255, 255, 255), stroke_width=2, stroke_fill=(0, 0, 0),
    )  # fmt: skip
    return image


def bars(across: float, down: float) -> Alter:
    """Black bars that take such parts of the width and the height, the whole picture between them."""

    def alter(image: Image.Image, at: float) -> Image.Image:
        width, height = image.size
        inner = image.resize((round(width * (1 - across)), round(height * (1 - down))))
        framed = Image.new("RGB", image.size)
        framed.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
        return framed

    return alter


def crop(part: float) -> Alter:
    """Such a part of each direction is cut away, the rest fills the picture."""

    def alter(image: Image.Image, at: float) -> Image.Image:
        width, height = image.size
        left, top = round(width * part / 2), round(height * part / 2)
        return image.crop((left, top, width - left, height - top)).resize(image.size)

    return alter


WAYS: dict[str, tuple[Alter, float]] = {
    "encoded again": (lambda image, at: image, 1.0),
    "logo": (logo, 1.0),
    "subtitles": (subtitles, 1.0),
    "letterbox": (bars(0, 0.12), 1.0),
    "pillarbox": (bars(0.12, 0), 1.0),
    "crop 3 %": (crop(0.03), 1.0),
    "crop 10 %": (crop(0.1), 1.0),
    "mirrored": (lambda image, at: ImageOps.mirror(image), 1.0),
    "faster": (lambda image, at: image, 1.25),
    "slower": (lambda image, at: image, 0.8),
}
"""What is done to each picture, and how many times faster it goes then."""


def pictures(path: Path) -> Iterator[tuple[float, Image.Image]]:
    """The pictures of a clip with their seconds, the first ones."""
    with av.open(str(path)) as video:
        start = None
        for frame in video.decode(video=0):
            if frame.time is None:
                continue
            start = frame.time if start is None else start
            if frame.time - start > LONGEST_S:
                return
            yield frame.time - start, frame.to_image()


def write(shown: list[tuple[float, Image.Image]], alter: Alter, speed: float, path: Path) -> None:
    """The altered clip."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(30), options={"crf": "26", "preset": "veryfast"})
        stream.width, stream.height = (side // 2 * 2 for side in shown[0][1].size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        last = -1
        for at, image in shown:
            altered = alter(image.copy(), at).crop((0, 0, stream.width, stream.height))
            frame = av.VideoFrame.from_image(altered)
            frame.pts, frame.time_base = max(last + 1, round(1000 * at / speed)), Fraction(1, 1000)
            last = frame.pts
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def seen(path: Path, folder: str) -> Fingerprint:
    return fingerprint(ingest(str(path), folder, MediaSettings()).frames.spread(FRAMES))


def found(one: Fingerprint, other: Fingerprint) -> bool:
    """As the stage does it for two videos alone."""
    met = any(True for _ in candidate_pairs({"a": one.hashes, "b": other.hashes}))
    return met and same_recording(one, other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "copies.json")
    options = parser.parse_args()
    clips = sorted(path for path in options.videos.rglob("*") if path.suffix in (".mp4", ".mkv", ".mov"))
    recalled: Counter[str] = Counter()
    prints: dict[str, dict[str, Fingerprint]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            shown = list(pictures(clip))
            if len(shown) < 2:
                continue
            mine = prints.setdefault(clip.stem, {})
            for way, (alter, speed) in WAYS.items():
                path = Path(folder) / f"{clip.stem}-{way.split()[0]}{len(mine)}.mp4"
                write(shown, alter, speed, path)
                mine[way] = seen(path, folder)
            recalled.update(way for way in WAYS if found(mine["encoded again"], mine[way]))
            print(clip.stem, dict(recalled), flush=True)
    strangers: Counter[str] = Counter()
    for one, other in combinations(prints, 2):
        strangers.update(way for way in WAYS if found(prints[one]["encoded again"], prints[other][way]))
    pairs = len(prints) * (len(prints) - 1) // 2
    result = {"clips": len(prints), "pairs of strangers": pairs,
              "ways": {way: {"found": recalled[way], "strangers": strangers[way]} for way in WAYS}}  # fmt: skip
    print(json.dumps(result, indent=1))
    with atomic_writer(options.out) as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
