"""Which altered copies of a clip are found as near duplicates, by which word, and which strangers are taken for copies.

    python benchmarks/copies.py real VIDEOS
    python benchmarks/copies.py rendered WORLD/videos --ways mirrored logo "crop 10 %"

Each clip is altered in each way, looked at as a run does, and compared with its source, as the stage `duplicates` does:
the pair must meet by hashes and be one recording. Strangers are all pairs of different clips, the second one altered.
The rendered world has 50 clips of seed 909, scripts `latin` (`data/world.py`). Writes its part of `results/copies.json`
beside this file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont, ImageOps

from hardcut.engine.files import atomic_writer
from hardcut.media.altered import altered_hashes
from hardcut.media.duplicates import FRAMES, Fingerprint, fingerprint
from hardcut.media.ingest import ingest
from hardcut.media.meetings import candidate_pairs
from hardcut.media.recordings import same_recording
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


def mark(image: Image.Image, at: float) -> Image.Image:
    """A name in small white letters in the lower left corner."""
    height = image.height
    font = ImageFont.load_default(max(10, height // 16))
    ImageDraw.Draw(image).text((8, height - height // 12), "@channel", font=font, fill=(255, 255, 255), anchor="ls")
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


def crop(left: float, top: float, right: float, bottom: float) -> Alter:
    """Such parts are cut away at each side, the rest fills the picture."""

    def alter(image: Image.Image, at: float) -> Image.Image:
        width, height = image.size
        box = (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
        return image.crop(box).resize(image.size)

    return alter


def unaltered(image: Image.Image, at: float) -> Image.Image:
    return image


WAYS: dict[str, tuple[Alter, float, str]] = {
    "encoded again": (unaltered, 1.0, ""),
    "logo": (logo, 1.0, "logo"),
    "small mark": (mark, 1.0, "logo"),
    "subtitles": (subtitles, 1.0, "subtitles"),
    "letterbox 12 %": (bars(0, 0.12), 1.0, "letterbox"),
    "letterbox 25 %": (bars(0, 0.25), 1.0, "letterbox"),
    "pillarbox 12 %": (bars(0.12, 0), 1.0, "pillarbox"),
    "crop 3 %": (crop(0.015, 0.015, 0.015, 0.015), 1.0, "crop"),
    "crop 10 %": (crop(0.05, 0.05, 0.05, 0.05), 1.0, "crop"),
    "crop 10 % at one corner": (crop(0.1, 0, 0, 0.1), 1.0, "crop"),
    "crop 20 %": (crop(0.1, 0.1, 0.1, 0.1), 1.0, "crop"),
    "mirrored": (lambda image, at: ImageOps.mirror(image), 1.0, "mirrored"),
    "1.25 times as fast": (unaltered, 1.25, "speed"),
    "1.5 times as fast": (unaltered, 1.5, "speed"),
    "0.8 times as fast": (unaltered, 0.8, "speed"),
}
"""What is done to each picture, how many times faster it goes then, and the word for it."""


def whole(video: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """The pictures that decode; of a damaged file those before the damage."""
    try:
        yield from video.decode(video=0)
    except av.error.InvalidDataError:
        return


def pictures(path: Path) -> Iterator[tuple[float, Image.Image]]:
    """The pictures of a clip with their seconds, the first ones."""
    with av.open(str(path)) as video:
        start = None
        for frame in whole(video):
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


Prints = dict[str, dict[str, Fingerprint]]
"""Of each clip, the fingerprint of each altered copy."""


def altered_copies(folder: Path, ways: list[str]) -> Prints:
    """Each clip of a folder, altered and looked at."""
    made: Prints = {}
    with tempfile.TemporaryDirectory() as store:
        for clip in sorted(path for path in folder.rglob("*") if path.suffix in (".mp4", ".mkv", ".mov")):
            shown = list(pictures(clip))
            if len(shown) < 2:
                continue
            mine = made.setdefault(str(clip.relative_to(folder)), {})
            for way in ways:
                alter, speed, _ = WAYS[way]
                path = Path(store) / f"{len(made)}-{len(mine)}.mp4"
                write(shown, alter, speed, path)
                mine[way] = seen(path, store)
            print(clip.stem, flush=True)
    return made


def true_copies(folder: Path) -> set[frozenset[str]]:
    """Pairs of clips that a rendered world says are near duplicates."""
    truth = folder.parent / "truth.jsonl"
    told = [json.loads(line) for line in truth.read_text().splitlines()] if truth.exists() else []
    return {
        frozenset((clip["video_id"], each["video_id"]))
        for clip in told
        for each in clip["relations"]
        if each["kind"] == "near_duplicate"
    }


def measured(made: Prints, ways: list[str], known: set[frozenset[str]]) -> dict[str, object]:
    """How many copies are found, how many by the right word alone, and how many strangers are. Pairs of clips that are
    `known` to be copies are no strangers."""
    altered = {
        clip: {way: altered_hashes(each.thumbnails) for way, each in mine.items()} for clip, mine in made.items()
    }
    rows: dict[str, dict[str, int]] = {}
    for way in ways:
        hashes, other_ways = {}, {}
        for clip in made:
            for kind, name in (("a", PLAIN), ("b", way)):
                hashes[f"{kind} {clip}"] = made[clip][name].hashes
                other_ways[f"{kind} {clip}"] = altered[clip][name]
        count = Counter(copies=len(made), found=0, by_its_word=0, strangers=0, strangers_compared=0, taken_for_copies=0)
        count["strangers"] = len(made) * (len(made) - 1) - 2 * len(known)
        for first, second in candidate_pairs(hashes, other_ways):
            (kind, one), (other_kind, other) = first.split(" ", 1), second.split(" ", 1)
            if kind == other_kind:
                continue
            changes = same_recording(made[one][PLAIN], made[other][way])
            if one == other:
                count["found"] += changes is not None
                count["by_its_word"] += changes == ({WAYS[way][2]} - {""})
            elif frozenset(name.rpartition(".")[0] for name in (one, other)) not in known:
                count["strangers_compared"] += 1
                count["taken_for_copies"] += changes is not None
                if changes is not None:
                    print("taken for copies:", one, other, way, sorted(changes), flush=True)
        rows[way] = dict(count)
        print(way, rows[way], flush=True)
    return {"clips": len(made), "ways": rows}


PLAIN = "encoded again"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("videos", type=Path)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "copies.json")
    options = parser.parse_args()
    ways = list(dict.fromkeys([PLAIN, *options.ways]))
    result = json.loads(options.out.read_text()) if options.out.exists() else {}
    result[options.name] = measured(altered_copies(options.videos, ways), ways, true_copies(options.videos))
    with atomic_writer(options.out) as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
