"""Real clips altered in ways whose truth follows from that of the originals: inputs that nothing was tuned to.

    python benchmarks/altered_clips.py CLIPS TRUTH.jsonl OUT [NAME ...]

CLIPS is a folder of recordings, TRUTH what is true of them, one clip a line, written by eye: `clip`, `duration_s`,
`cuts`, `camera`, `motion` and `text`, each with `start` and `end`. OUT gets the altered clips (or those whose names
begin with one of the NAMEs) and `truth.jsonl` of the same form. What is true of text after a crop or a zoom is not
known: it counts as undecidable.

Mirrored, slower, faster, shaken by a hand, zoomed, panned, lit otherwise, faded, with a picture in the picture, smaller
with bars, with subtitles, with a ticker, with credits that rise, a photo out of a clip that does the like, and two
clips with a cut or a dissolve between them.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
Truth = dict[str, Any]

LINES = (
    "The market opens at nine", "Nobody saw the second car", "Turn left after the bridge",
    "We packed forty bottles today", "Please wait for the signal", "Her brother lives in Lisbon",
)  # fmt: skip
NEWS = "Heavy rain expected across the northern valleys until Friday evening while trains run late"
SUBTITLE_S = 1.3
_WIDEST = 640
_MIRRORED = {"left-to-right": "right-to-left", "right-to-left": "left-to-right"}
_TIMED = ("motion", "camera", "text")
_UNKNOWN = {"text": "?", "start": 0.0, "end": 99.0, "legible": False}
CARS = (("car-detection", 0, 8), ("car-detection", 13, 21), ("car-detection", 21, 29))
BOTTLES = (("bottle-detection", 8, 16), ("bottle-detection", 28, 36))
Source = str | tuple[str, float, float]


@dataclass(frozen=True, slots=True)
class Clip:
    """Pictures (RGB) at a rate, and what is true of them."""

    pictures: list[Picture]
    fps: float
    truth: Truth
    crf: int = 23


@dataclass(slots=True)
class Altered:
    """Clips by name: `made` says what has been altered so far, without writing anything."""

    folder: Path
    truth: dict[str, Truth]
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def read(self, source: Source) -> Clip:
        """A clip, or the stretch of it that is asked for, at most 640 pixels wide."""
        name, start, end = source if isinstance(source, tuple) else (source, 0.0, 1e9)
        [path] = self.folder.glob(f"{name}.*")
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 25)
            pictures = [
                frame.to_ndarray(format="rgb24")
                for frame in container.decode(stream)
                if start <= float(frame.time or 0) < end
            ]
        height, width = pictures[0].shape[:2]
        if width > _WIDEST:
            size = (_WIDEST, round(height * _WIDEST / width / 2) * 2)
            pictures = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in pictures]
        truth = self.truth[name]
        return Clip(pictures, fps, between(truth, start, min(end, truth["duration_s"])))

    def all(self) -> Iterator[tuple[str, Callable[[], Clip]]]:
        """The names, and how each is made. Those of one kind draw from the generator in turn, so all are made where
        chance has a part."""
        table: tuple[tuple[str, Callable[..., Clip], Sequence[tuple[Any, ...]]], ...] = (
            ("mirror", self.mirrored, [("again",), ("book",), ("sister",), (CARS[1],), (BOTTLES[0],)]),
            ("slow", self.timed, [("help", 2.0), ("bird", 2.0), (CARS[0], 2.0)]),
            ("fast", self.timed, [("brother", 1 / 1.5), (BOTTLES[1], 1 / 1.5)]),
            ("shake", self.shaken, [
                (each, number % 2)
                for number, each in enumerate(("help", "no", "book", "sister", CARS[0], CARS[2], BOTTLES[0]))
            ]),
            ("zoom", self.zoomed, [("yes", True), ("brother", False), (CARS[1], True), (BOTTLES[1], False)]),
            ("pan", self.panned, [("again", 1), (CARS[2], -1), ("bird", 1), (BOTTLES[0], 1)]),
            ("light", self.lit, [("sister",), ("no",), (CARS[1],), (BOTTLES[1],)]),
            ("fade", self.faded, [("bird",), ("help",), (CARS[2],), (BOTTLES[0],)]),
            ("pip", self.inset, [("car-detection", "book"), ("bottle-detection", "help"), ("car-detection", "sister")]),
            ("small", self.smaller, [("again",), (CARS[0],), ("yes",)]),
            ("subs", self.subtitled, [("book",), ("no",), (CARS[1],), (BOTTLES[0],), (BOTTLES[1],)]),
            ("tick", self.with_ticker, [
                (CARS[0], 60, 22), (BOTTLES[1], 110, 26), (CARS[2], 160, 24), (BOTTLES[0], 40, 18),
            ]),
            ("credits", self.with_credits, [(CARS[0], 50), ("sister", 90)]),
            ("photo", self.photo, [
                ("help", "shake"), ("car-detection", "zoom"), ("bottle-detection", "pan"), ("sister", "flicker"),
                ("mma_test", "shake"), ("video5", "pan"), ("nasa_13013", "flicker"), ("nasa_13013", "zoom"),
            ]),
            ("join", self.joined, [
                ("help", CARS[0], 0), (CARS[1], BOTTLES[0], 0), ("bird", BOTTLES[1], 24), ("no", "sister", 0),
                (CARS[2], "book", 24),
            ]),
        )  # fmt: skip
        for kind, make, calls in table:
            for number, call in enumerate(calls):
                yield f"{kind}{number}_{_name(call[0])}", lambda make=make, call=call: make(*call)

    def mirrored(self, source: Source) -> Clip:
        clip = self.read(source)
        truth = {**clip.truth, "text": []}
        for each in truth["motion"]:
            each["direction"] = _MIRRORED.get(each["direction"], each["direction"])
        return Clip([each[:, ::-1] for each in clip.pictures], clip.fps, truth, 28)

    def timed(self, source: Source, factor: float) -> Clip:
        clip = self.read(source)
        return Clip(clip.pictures, clip.fps / factor, stretched(clip.truth, factor))

    def shaken(self, source: Source, strong: int) -> Clip:
        clip = self.read(source)
        count = len(clip.pictures)
        path = self._wander(count, clip.fps, 1 + strong) * (0.012, 0.03)[strong]
        path = (path + self.random.normal(0, 0.0012, (count, 2))).clip(-0.07, 0.07)
        pictures = [crop(each, 0.5 + x, 0.5 + y, 0.86) for each, (x, y) in zip(clip.pictures, path, strict=True)]
        return Clip(pictures, clip.fps, unread(filmed(clip.truth, "handheld")))

    def zoomed(self, source: Source, inwards: bool) -> Clip:
        clip = self.read(source)
        shares = [0.3 * number / len(clip.pictures) for number in range(len(clip.pictures))]
        parts = [1 - share if inwards else 0.7 + share for share in shares]
        pictures = [crop(each, 0.5, 0.5, part) for each, part in zip(clip.pictures, parts, strict=True)]
        return Clip(pictures, clip.fps, unread(filmed(clip.truth, "zoom in" if inwards else "zoom out")))

    def panned(self, source: Source, way: int) -> Clip:
        clip = self.read(source)
        pictures = [
            crop(each, 0.5 + way * (0.36 * number / len(clip.pictures) - 0.18), 0.5, 0.62)
            for number, each in enumerate(clip.pictures)
        ]
        return Clip(pictures, clip.fps, unread(filmed(clip.truth, "pan right" if way > 0 else "pan left")))

    def lit(self, source: Source) -> Clip:
        clip = self.read(source)
        light = [
            (1 + 0.35 * np.sin(number / clip.fps * 2.1)) * (1 + 0.08 * np.sin(number * 1.9))
            for number in range(len(clip.pictures))
        ]
        return Clip([_bytes(each * by) for each, by in zip(clip.pictures, light, strict=True)], clip.fps, clip.truth)

    def faded(self, source: Source) -> Clip:
        clip = self.read(source)
        last, length = len(clip.pictures) - 1, int(0.7 * clip.fps)
        pictures = [
            (each * min(1, number / length, (last - number) / length)).astype(np.uint8)
            for number, each in enumerate(clip.pictures)
        ]
        return Clip(pictures, clip.fps, clip.truth)

    def inset(self, large: str, small: str) -> Clip:
        inner = self.read(small)
        outer = self.read((large, 3, 3 + len(inner.pictures) / inner.fps + 1.5))
        pictures = []
        for number, each in enumerate(outer.pictures):
            picture, at = each.copy(), int((number / outer.fps - 1.2) * inner.fps)
            if 0 <= at < len(inner.pictures):
                picture[10:175, -230:-10] = cv2.resize(inner.pictures[at], (220, 165), interpolation=cv2.INTER_AREA)
            pictures.append(picture)
        motion = outer.truth["motion"] + later(inner.truth, 1.2)["motion"]
        return Clip(pictures, outer.fps, {**outer.truth, "motion": motion, "text": [dict(_UNKNOWN)]})

    def smaller(self, source: Source) -> Clip:
        clip = self.read(source)
        height, width = clip.pictures[0].shape[:2]
        size = (320, round(320 * height / width / 2) * 2)
        small = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in clip.pictures]
        barred = [cv2.copyMakeBorder(each, 40, 40, 0, 0, cv2.BORDER_CONSTANT) for each in small]
        return Clip(barred, clip.fps, unread(clip.truth), 34)

    def subtitled(self, source: Source) -> Clip:
        clip = self.read(source)
        height, width = clip.pictures[0].shape[:2]
        lasts, truth = len(clip.pictures) / clip.fps, clip.truth
        pictures = [
            written(each, LINES[int(number / clip.fps / SUBTITLE_S) % 6], (width * 0.2, height * 0.88), 22)
            for number, each in enumerate(clip.pictures)
        ]
        truth["text"] = [dict(_UNKNOWN)] if truth["text"] else []
        for number in range(int(lasts / SUBTITLE_S) + 1):
            start, end = number * SUBTITLE_S, min((number + 1) * SUBTITLE_S, lasts)
            truth["text"].append(_line(LINES[number % 6], start, end, end - start > 0.6))
        return Clip(pictures, clip.fps, truth)

    def with_ticker(self, source: Source, speed: float, size: int) -> Clip:
        """At `speed` pixels a second; legible as a whole where all of it passes."""
        clip = self.read(source)
        height, width = clip.pictures[0].shape[:2]
        pictures = []
        for number, each in enumerate(clip.pictures):
            picture = each.copy()
            picture[-44:] = (20, 20, 90)
            pictures.append(written(picture, NEWS, (width * 0.6 - speed * number / clip.fps, height - 38), size, 0))
        truth = {**clip.truth, "text": [_line(NEWS, 0, len(pictures) / clip.fps, speed >= 110)]}
        return Clip(pictures, clip.fps, truth)

    def with_credits(self, source: Source, speed: float) -> Clip:
        clip = self.read(source)
        height, width = clip.pictures[0].shape[:2]
        pictures = []
        for number, each in enumerate(clip.pictures):
            picture = each
            for row, line in enumerate(LINES):
                top = height * 0.7 + row * 34 - speed * number / clip.fps
                picture = written(picture, line, (width * 0.25, top), 20)
            pictures.append(picture)
        return Clip(pictures, clip.fps, {**clip.truth, "text": [_line(line, 0, 99, False) for line in LINES]})

    def photo(self, source: str, does: str) -> Clip:
        """One picture, with noise, for four seconds: nothing moves in it."""
        clip = self.read((source, 0, 2))
        picture, count = clip.pictures[10], int(4 * clip.fps)
        path = (self._wander(count, clip.fps, 1) * 0.02).clip(-0.07, 0.07)
        made: dict[str, tuple[str, Callable[[int], Picture]]] = {
            "shake": ("handheld", lambda n: crop(picture, 0.5 + path[n, 0], 0.5 + path[n, 1], 0.86)),
            "zoom": ("zoom in", lambda n: crop(picture, 0.5, 0.5, 1 - 0.35 * n / count)),
            "pan": ("pan left", lambda n: crop(picture, 0.68 - 0.36 * n / count, 0.5, 0.62)),
            "flicker": ("still", lambda n: _bytes(picture * (1 + 0.25 * np.sin(n * 0.9)))),
        }
        camera, at = made[does]
        noise = [self.random.normal(0, 2.5, picture.shape).astype(np.int16) for _ in range(count)]
        pictures = [_bytes(at(number).astype(np.int16) + noise[number]) for number in range(count)]
        truth = {"cuts": [], "motion": [], "text": [dict(_UNKNOWN)], "duration_s": 4.0}
        return Clip(pictures, clip.fps, filmed(truth, camera))

    def joined(self, one: Source, other: Source, dissolve: int) -> Clip:
        """At 30 pictures a second, with a cut, or so many pictures of a dissolve, in between."""
        first, second = self.read(one), self.read(other)
        height, width = first.pictures[0].shape[:2]
        ends, fps = len(first.pictures) / first.fps, 30.0
        before = [_at(first, number / fps) for number in range(int(ends * fps))]
        after = [
            cv2.resize(_at(second, number / fps), (width, height))
            for number in range(int(len(second.pictures) / second.fps * fps))
        ]
        starts = ends - dissolve / fps
        mixed = []
        if dissolve:
            shares = [(number + 1) / (dissolve + 1) for number in range(dissolve)]
            ending, before, beginning, after = (
                before[-dissolve:],
                before[:-dissolve],
                after[:dissolve],
                after[dissolve:],
            )
            mixed = [
                (x * (1 - share) + y * share).astype(np.uint8)
                for x, y, share in zip(ending, beginning, shares, strict=True)
            ]
        moved, truth = later(second.truth, starts), first.truth
        truth["motion"] += moved["motion"]
        truth["camera"] += moved["camera"]
        truth |= {"cuts": [[starts, ends]] if dissolve else [ends], "text": [dict(_UNKNOWN)]}
        return Clip(before + mixed + after, fps, truth)

    def _wander(self, count: int, fps: float, speed: int) -> NDArray[np.float64]:
        """The way of a hand: straight from one random place to the next, `count` x 2."""
        places = max(2, int(count / fps * speed * 1.5) + 2)
        chosen = self.random.normal(0, 1, (places, 2))
        at = np.linspace(0, places - 1, count)
        return np.stack([np.interp(at, range(places), chosen[:, axis]) for axis in (0, 1)], 1)


def between(truth: Truth, start: float, end: float) -> Truth:
    """What is true of a stretch of a clip; a movement that it cuts is not certain there."""
    found = copy.deepcopy(truth)
    for kind in _TIMED:
        found[kind] = [each for each in found[kind] if each["end"] > start and each["start"] < end]
        for each in found[kind]:
            if kind == "motion" and (each["start"] < start - 0.05 or each["end"] > end + 0.05):
                each["certain"] = False
            each["start"], each["end"] = max(0.0, each["start"] - start), min(end, each["end"]) - start
    cuts = [cut if isinstance(cut, list) else [cut] for cut in found["cuts"]]
    moved = [[time - start for time in cut] for cut in cuts if start < cut[0] < end]
    found["cuts"] = [cut if len(cut) > 1 else cut[0] for cut in moved]
    return found


def stretched(truth: Truth, factor: float) -> Truth:
    """The same at another speed."""
    found = copy.deepcopy(truth)
    for each in (each for kind in _TIMED for each in found[kind]):
        each["start"], each["end"] = each["start"] * factor, each["end"] * factor
    found["cuts"] = [cut * factor for cut in found["cuts"]]
    return found


def later(truth: Truth, by: float) -> Truth:
    """The same, so many seconds later."""
    found = copy.deepcopy(truth)
    for each in (each for kind in _TIMED for each in found[kind]):
        each["start"], each["end"] = each["start"] + by, each["end"] + by
    return found


def filmed(truth: Truth, what: str) -> Truth:
    """The same, by a camera that does something all the time."""
    return {**truth, "camera": [{"start": 0.0, "end": truth["duration_s"], "what": what, "certain": True}]}


def unread(truth: Truth) -> Truth:
    """The same, with texts that may be cut or too small by now."""
    return {**truth, "text": [{**each, "text": "?", "legible": False} for each in truth["text"]]}


def crop(picture: Picture, across: float, down: float, part: float) -> Picture:
    """A part of a picture around a place (0..1), as large as the picture."""
    height, width = picture.shape[:2]
    matrix = np.array(
        [[1 / part, 0, width / 2 - across * width / part], [0, 1 / part, height / 2 - down * height / part]], np.float32
    )
    found = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, dtype=np.uint8)


def written(picture: Picture, text: str, place: tuple[float, float], size: int, stroke: int = 2) -> Picture:
    """A picture with white text on it."""
    image = Image.fromarray(picture)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text(place, text, font=font, fill="white", stroke_width=stroke, stroke_fill="black")
    return np.asarray(image)


def save(clip: Clip, path: Path) -> None:
    """As H.264, with even sides."""
    with av.open(str(path), "w") as out:
        options = {"crf": str(clip.crf), "preset": "veryfast"}
        stream = out.add_stream("libx264", rate=Fraction(round(clip.fps * 1000), 1000), options=options)
        stream.height, stream.width = (side // 2 * 2 for side in clip.pictures[0].shape[:2])
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for each in clip.pictures:
            even = np.ascontiguousarray(each[: stream.height, : stream.width])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        out.mux(stream.encode(None))


def _line(text: str, start: float, end: float, legible: bool) -> Truth:
    return {"text": text, "start": start, "end": end, "legible": legible}


def _at(clip: Clip, time_s: float) -> Picture:
    return clip.pictures[min(len(clip.pictures) - 1, int(time_s * clip.fps))]


def _bytes(values: NDArray[Any]) -> Picture:
    return np.asarray(values.clip(0, 255), dtype=np.uint8)


def _name(source: Source) -> str:
    return source if isinstance(source, str) else f"{source[0]}_{source[1]:g}"


def main(clips: Path, truth: Path, out: Path, names: Sequence[str]) -> None:
    """Writes the clips and what is true of them."""
    known = {each["clip"]: each for each in map(json.loads, truth.read_text("utf-8").splitlines())}
    out.mkdir(parents=True, exist_ok=True)
    with (out / "truth.jsonl").open("w", encoding="utf-8") as file:
        for name, make in Altered(clips, known).all():
            if names and not name.startswith(tuple(names)):
                continue
            clip = make()
            save(clip, out / f"{name}.mp4")
            lasts = len(clip.pictures) / clip.fps
            file.write(json.dumps({**clip.truth, "clip": name, "duration_s": lasts}) + "\n")
            print(name, len(clip.pictures), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
