"""What the stages that see a whole collection at once take as it grows: time and memory of each.

    python benchmarks/collection.py [VIDEOS ...]

Every size and stage runs in a process of its own, over a made collection: videos in chiral pairs (the same three
texts and two movements, one backwards), pictures that look alike within a pair (perceptual hashes of four scenes, a few
bits of noise in each frame), one text and one closing picture that all videos share, a caption and two queries for each
video. Records are made as they are
read and not checked, so that time and memory are those of the stages. Writes
`results/collection.json` beside this file.
"""

from __future__ import annotations

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

from hardcut.engine.files import atomic_writer
from hardcut.schemas.base import Record
from hardcut.schemas.records import (
    Caption,
    Claim,
    Evidence,
    Group,
    Pair,
    Query,
    Signature,
    Span,
    Twin,
    Video,
)
from hardcut.schemas.settings import NegativeSettings

R = TypeVar("R", bound=Record)
SIZES = (1_000, 10_000, 100_000)
FRAMES = 32
SCENES = 4
SYLLABLES = [f"{a}{b}{c}" for a in ("tra", "mel", "kor", "bis", "fun", "gor") for b in "aeiou" for c in ("ntel", "rd")]
COLOURS = ("red", "green", "blue", "yellow")


class Made:
    """The records of a collection of `size` videos, each kind made anew whenever it is read."""

    def __init__(self, size: int) -> None:
        self.size = size

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
            Query: _queries,
        }
        return make[kind](number)


def _name(number: int) -> str:
    return f"v{number:07}"


def _video(number: int) -> list[Video]:
    name = _name(number)
    return [Video.model_construct(video_id=name, path=f"{name}.mp4", sha256=f"{number:064x}", metadata={})]


def _signature(number: int) -> list[Signature]:
    scenes = [random.Random(f"scene {number // 2} {scene}").getrandbits(64) for scene in range(SCENES)]
    noise = random.Random(f"noise {number}")
    hashes = []
    for scene in scenes if number % 2 == 0 else scenes[::-1]:
        for _ in range((FRAMES - 1) // SCENES):
            flipped = sum({1 << noise.randrange(64) for _ in range(noise.randrange(4))})
            hashes.append(f"{scene ^ flipped:016x}")
    hashes.append(f"{0:016x}")  # all end in a black picture
    return [Signature.model_construct(video_id=_name(number), times=tuple(range(len(hashes))), hashes=tuple(hashes))]


@lru_cache(maxsize=4)
def _content(number: int) -> tuple[tuple[str, str], ...]:
    """Kind and text of all that happens in a video, in order of time."""
    rng = random.Random(f"content {number // 2}")
    texts = [("ocr", " ".join(rng.sample(SYLLABLES, 2)).upper()) for _ in range(3)]
    moves = [("motion", f"a {rng.choice(COLOURS)} thing moves {way}") for way in ("from left to right", "upwards")]
    told = [*texts, *moves]
    return tuple(told if number % 2 == 0 else told[::-1])


def _span(at: int) -> Span:
    return Span.model_construct(start=5 * at, end=5 * at + 4)


def _evidence(number: int) -> list[Evidence]:
    name = _name(number)
    return [
        Evidence.model_construct(
            evidence_id=f"{name}e{at}", video_id=name, kind=kind, text=text, span=_span(at), box=None, confidence=0.95
        )
        for at, (kind, text) in enumerate([*_content(number), ("ocr", "SUBSCRIBE")])
    ]


def _caption(number: int) -> list[Caption]:
    name, content = _name(number), _content(number)
    claims = tuple(
        Claim.model_construct(text=text, span=_span(at), evidence_ids=(f"{name}e{at}",))
        for at, (_, text) in enumerate(content)
    )
    text = ". ".join(text for _, text in content)
    return [Caption.model_construct(caption_id=f"{name}c", video_id=name, text=text, claims=claims)]


def _twin(number: int) -> list[Twin]:
    name, other = _name(number), _name(number ^ 1)
    return [Twin.model_construct(twin_id=f"{name}w", video_id=name, other_video_id=other, relation="chiral")]


def _queries(number: int) -> list[Query]:
    rng = random.Random(f"queries {number}")
    texts = [text for kind, text in _content(number) if kind == "ocr"]
    asked = {f'the text "{first}" is read before "{second}"' for first, second in (rng.sample(texts, 2), texts[:2])}
    return [
        Query.model_construct(
            query_id=f"{_name(number)}q{at}", text=text, view="ocr", kind="temporal", source_video_id=_name(number)
        )
        for at, text in enumerate(sorted(asked))
    ]


def candidates(made: Made) -> dict[str, int]:
    """The first half of stage duplicates: which videos are worth laying over one another."""
    from hardcut.media.duplicates import candidate_pairs as met

    hashes = {record.video_id: tuple(int(h, 16) for h in record.hashes) for record in made.all(Signature)}
    return {"met": sum(1 for _ in met(hashes))}


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


STAGES = {stage.__name__: stage for stage in (candidates, twins, negatives)}


def measure(stage: str, size: int) -> dict[str, Any]:
    """In a process of its own."""
    made = Made(size)
    start = time.process_time()
    kinds: dict[str, tuple[type[Record], ...]] = {
        "candidates": (Signature,),
        "twins": (Video, Signature, Evidence, Caption),
        "negatives": (Video, Evidence, Caption, Twin, Query),
    }
    for kind in kinds[stage]:
        for _ in made.all(kind):
            pass
    making = time.process_time() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    told = STAGES[stage](made)
    return {
        "stage": stage,
        "videos": size,
        "cpu_s": round(time.process_time() - start, 1),
        "making_records_once_cpu_s": round(making, 1),
        "memory_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1),
        **told,
    }


def main(sizes: list[int]) -> None:
    """Measures all sizes, prints them and writes the result."""
    rows = []
    for stage in STAGES:
        for size in sizes:
            command = [sys.executable, __file__, "--one", stage, str(size)]
            rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
            print(rows[-1], flush=True)
    machine = {
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    with atomic_writer(Path(__file__).parent / "results" / "collection.json") as file:
        json.dump({"machine": machine, "stages": rows}, file, indent=2)
        file.write("\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))
