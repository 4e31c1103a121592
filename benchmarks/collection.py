"""What the stages that see a whole collection at once take as it grows: time and memory of each.

    python benchmarks/collection.py [--stage STAGE] [VIDEOS ...]

Every size and stage runs in a process of its own, over a made collection: videos in chiral pairs (the same three
texts and two movements, one backwards), pictures that look alike within a pair (perceptual hashes of four scenes, a few
bits of noise in each frame), one text and one closing picture that all videos share, a caption, two queries for each
video. Words are as often as in a language: the more videos, the more words (Zipf and Mandelbrot, exponent 1.6).
Negatives are mined for the queries of 20,000 videos at most, drawn evenly, among all videos: what a query takes is what
may grow. In `duplicates` the pictures' altered versions are made numbers; what it takes to make real ones is
`altered`, a video. Records are made as they are read and not checked, so that time and memory are those of the stages.

Writes `results/collection.json` beside this file, where figures of other stages and sizes stay.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hardcut.engine.files import atomic_writer
from hardcut.schemas.base import Frozen, Record
from hardcut.schemas.copies import Group, Signature
from hardcut.schemas.records import Caption, Claim, Evidence, Pair, Query, Span, Video
from hardcut.schemas.settings import NegativeSettings
from hardcut.schemas.twin import Twin

R = TypeVar("R", bound=Record)
M = TypeVar("M", bound=Frozen)
SIZES = (10_000, 100_000, 1_000_000)
ASKED = 20_000
"""Videos that have queries where negatives are mined."""
ALTERED = 8
"""Ways in which a video's pictures are altered, of 8 frames each."""
MADE = 20_000
"""Videos whose records are made to see what making them takes."""
FRAMES = 32
SCENES = 4
SYLLABLES = [f"{a}{b}{c}" for a in ("tra", "mel", "kor", "bis", "fun", "gor") for b in "aeiou" for c in ("ntel", "rd")]
RESULT = Path(__file__).parent / "results" / "collection.json"
COLOURS = ("red", "green", "blue", "yellow")


class Made:
    """The records of a collection of `size` videos, each kind made anew whenever it is read."""

    def __init__(self, size: int, every: int = 1) -> None:
        self.size, self._every = size, every

    def all(self, kind: type[R]) -> Iterator[R]:
        for number in range(self.size):
            yield from self._of(kind, number)

    def about(self, kind: type[R], subject: str) -> list[R]:
        return self._of(kind, int(subject.removeprefix("v")))

    def get(self, kind: type[R], id: str) -> R | None:
        return next((record for record in self._of(kind, int(id.removeprefix("v"))) if record.id == id), None)

    def _of(self, kind: type[R], number: int) -> list[Any]:
        make: dict[type[Record], Callable[[int], list[Any]]] = {
            Video: _video,
            Signature: _signature,
            Group: lambda _: [],
            Evidence: _evidence,
            Caption: _caption,
            Twin: _twin,
            Query: lambda number: [] if number // 2 % self._every else _queries(number),
        }
        return make[kind](number)


def _made(kind: type[M], /, **fields: Any) -> M:
    """As `kind.model_construct`, which would take half of a measurement."""
    made = kind.__new__(kind)
    object.__setattr__(made, "__dict__", _defaults(kind) | fields)
    object.__setattr__(made, "__pydantic_fields_set__", set(fields))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


@lru_cache
def _defaults(kind: type[Frozen]) -> dict[str, Any]:
    fields = kind.model_fields.items()
    return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}


def _name(number: int) -> str:
    return f"v{number:07}"


def _video(number: int) -> list[Video]:
    name = _name(number)
    return [_made(Video, video_id=name, path=f"{name}.mp4", sha256=f"{number:064x}", metadata={})]


def _hashes(number: int) -> NDArray[np.uint64]:
    scenes = np.random.default_rng((number // 2, 1)).integers(0, 1 << 64, SCENES, dtype=np.uint64)
    noise = np.random.default_rng((number, 2)).integers(0, 64, (FRAMES - 1, 3), dtype=np.uint64)
    shown = np.repeat(scenes if number % 2 == 0 else scenes[::-1], -(-(FRAMES - 1) // SCENES))[: FRAMES - 1]
    for flipped in noise.T:
        shown = shown ^ np.uint64(1) << flipped
    return np.append(shown, np.uint64(0))  # all end in a black picture


def _signature(number: int) -> list[Signature]:
    hashes = tuple(f"{each:016x}" for each in _hashes(number).tolist())
    return [_made(Signature, video_id=_name(number), times=tuple(range(FRAMES)), hashes=hashes)]


@lru_cache(maxsize=4)
def _content(number: int) -> tuple[tuple[str, str], ...]:
    """Kind and text of all that happens in a video, in order of time."""
    rng = random.Random(f"content {number // 2}")
    texts = [("ocr", f"{_word(rng)} {_word(rng)}".upper()) for _ in range(3)]
    moves = [("motion", f"a {rng.choice(COLOURS)} thing moves {way}") for way in ("from left to right", "upwards")]
    told = [*texts, *moves]
    return tuple(told if number % 2 == 0 else told[::-1])


def _word(rng: random.Random) -> str:
    """A word, the k-th most frequent with a probability of about (1 + k / 30) ** -1.6."""
    number, parts = int(30 * ((1 - rng.random()) ** (-1 / 0.6) - 1)), []
    while number >= 0:
        parts.append(SYLLABLES[number % len(SYLLABLES)])
        number = number // len(SYLLABLES) - 1
    return "".join(parts)


def _span(at: int) -> Span:
    return _made(Span, start=5 * at, end=5 * at + 4)


def _evidence(number: int) -> list[Evidence]:
    name = _name(number)
    return [
        _made(
            Evidence,
            evidence_id=f"{name}e{at}",
            video_id=name,
            kind=kind,
            text=text,
            span=_span(at),
            box=None,
            confidence=0.95,
        )
        for at, (kind, text) in enumerate([*_content(number), ("ocr", "SUBSCRIBE")])
    ]


def _caption(number: int) -> list[Caption]:
    name, content = _name(number), _content(number)
    claims = tuple(
        _made(Claim, text=text, span=_span(at), evidence_ids=(f"{name}e{at}",)) for at, (_, text) in enumerate(content)
    )
    text = ". ".join(text for _, text in content)
    return [_made(Caption, caption_id=f"{name}c", video_id=name, text=text, claims=claims)]


def _twin(number: int) -> list[Twin]:
    name, other = _name(number), _name(number ^ 1)
    return [_made(Twin, twin_id=f"{name}w", video_id=name, other_video_id=other, relation="chiral")]


def _queries(number: int) -> list[Query]:
    rng = random.Random(f"queries {number}")
    texts = [text for kind, text in _content(number) if kind == "ocr"]
    asked = {f'the text "{first}" is read before "{second}"' for first, second in (rng.sample(texts, 2), texts[:2])}
    return [
        _made(
            Query,
            query_id=f"{_name(number)}q{at}",
            text=text,
            view="ocr",
            kind="temporal",
            source_video_id=_name(number),
        )
        for at, text in enumerate(sorted(asked))
    ]


def duplicates(made: Made) -> dict[str, int]:
    """Of stage duplicates: which videos are worth laying over one another."""
    from hardcut.media.meetings import HashTable, candidate_pairs, hashes_of

    altered = HashTable(
        (_name(at), np.random.default_rng((at, 3)).integers(0, 1 << 64, (ALTERED, 8), dtype=np.uint64))
        for at in range(made.size)
    )
    met = sum(1 for _ in candidate_pairs(hashes_of(made.all(Signature)), altered))
    if met != made.size // 2:
        raise SystemExit(f"{met} pairs met, of {made.size // 2}")
    return {"met": met}


def altered(made: Made) -> dict[str, int]:
    """Of stage duplicates: what altering the pictures of a thousand videos takes, in a thread for each core."""
    from hardcut.engine.ahead import in_threads
    from hardcut.media.altered import altered_hashes

    thumbnails = np.random.default_rng(0).integers(0, 256, (FRAMES, 48, 48, 3), dtype=np.uint8)
    done = sum(1 for _ in in_threads(altered_hashes, itertools.repeat(thumbnails, 1000)))
    return {"altered": done}


def twins(made: Made) -> dict[str, int]:
    """Stage twins."""
    from hardcut.synth.twins import TwinStage

    found = [len(output.records) for _, output in TwinStage().run(made)]
    if len(found) != made.size or min(found) < 1:
        raise SystemExit(f"{sum(count < 1 for count in found)} videos have no twin")
    return {"twins": sum(found)}


def negatives(made: Made) -> dict[str, int]:
    """Stage negatives."""
    from hardcut.synth.negatives import NegativeStage

    queries = pairs = 0
    for _, output in NegativeStage(NegativeSettings()).run(made):
        queries += 1
        pairs += sum(isinstance(record, Pair) for record in output.records)
    return {"queries": queries, "pairs": pairs}


def splits(made: Made) -> dict[str, int]:
    """The splits of all videos and queries."""
    from hardcut.publish.given_splits import QueryRef
    from hardcut.publish.splits import plan_splits
    from hardcut.schemas.dataset_settings import ExportSettings

    queries = {query.query_id: QueryRef.from_query(query) for query in made.all(Query)}
    found = plan_splits(made.all(Video), queries, {}, ExportSettings())
    return {"queries": len(queries), "groups": len(set(found.groups.values()))}


STAGES = {stage.__name__: stage for stage in (duplicates, altered, twins, negatives, splits)}


def measure(stage: str, size: int) -> dict[str, Any]:
    """In a process of its own."""
    made = Made(size, every=max(1, size // ASKED) if stage == "negatives" else 1)
    start = time.process_time()
    kinds: dict[str, tuple[type[Record], ...]] = {
        "duplicates": (Signature,),
        "altered": (),
        "twins": (Video, Signature, Evidence, Caption),
        "negatives": (Video, Evidence, Caption, Twin, Query),
        "splits": (Video, Query),
    }
    some = min(size, MADE)
    for kind in kinds[stage]:
        for number in range(some):
            made.about(kind, _name(number))
    making = (time.process_time() - start) * size / some
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, began = time.process_time(), time.perf_counter()
    told = STAGES[stage](made)
    return {
        "stage": stage,
        "videos": size,
        "cpu_s": round(time.process_time() - start, 1),
        "wall_s": round(time.perf_counter() - began, 1),
        "making_records_once_cpu_s": round(making, 1),
        "memory_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1),
        **told,
    }


def main(stages: list[str], sizes: list[int]) -> None:
    """Measures the stages at all sizes, prints them and adds them to the result."""
    rows = {(row["stage"], row["videos"]): row for row in json.loads(RESULT.read_text("utf-8"))["stages"]}
    for stage in stages:
        for size in sizes if stage != "altered" else [1000]:
            command = [sys.executable, __file__, "--one", stage, str(size)]
            row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            print(row, flush=True)
            rows[stage, size] = row
    order = list(STAGES)
    kept = sorted(rows.values(), key=lambda row: (order.index(row["stage"]), row["videos"]))
    machine = {
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    with atomic_writer(RESULT) as file:
        json.dump({"machine": machine, "stages": kept}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--stage", choices=list(STAGES), action="append")
    parser.add_argument("--one", choices=list(STAGES))
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.sizes[0])))
    else:
        main(given.stage or list(STAGES), given.sizes)
