"""How long a run takes, and what of disk and memory, leg by leg, for the resources that it is given.

What the run has done already is measured: how long its units took and how large its files are. For the rest there is a
table, of what was measured on other machines; what comes from it is told apart.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

from hardcut.engine.ledger import LEDGER_FILE
from hardcut.engine.run_files import RunFiles
from hardcut.engine.status import StageStatus, read_status
from hardcut.media.store import FrameStore
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.estimate import Estimate, Line
from hardcut.pipeline.stages import STAGES
from hardcut.schemas.records import Video
from hardcut.schemas.settings import Settings

SECONDS: Mapping[str, float] = {
    "probe": 1.5,
    "signatures": 0.3,
    "evidence": 3.0,
    "duplicates": 0.06,
    "twins": 0.002,
    "negatives": 0.003,
    "judgments": 0.001,
}
"""Of one processor for one video, where a run has not measured it: of clips of half a minute, on two cores of 2026
(`benchmarks/results/collection.json`, `whole_run.json`)."""
CALL_S = 3.0
"""Of one call, where nothing is known of the server."""
FRAMES_BYTES = 1_500_000
"""Of a video's stored frames, and of what movement is looked for in."""
RECORDS_BYTES, REPLIES_BYTES = 250_000, 40_000
"""Of a video in the run's folder, and in the cache of replies."""
WORKER_BYTES = 700_000_000
"""Of a process that decodes and reads text."""
DRIVER_BYTES, VIDEO_BYTES = 400_000_000, 5_000
"""Of the process of the run: by itself, and for each video where stages look at the whole collection."""
_WHOLE = frozenset({"duplicates", "twins", "negatives", "judgments"})
"""Stages that look at the whole collection: done or not."""
_BY_MANY = frozenset({"probe", "signatures", "evidence", "duplicates"})
"""Stages that take all processors; the others take one."""
_LEAST = 5
"""Units of a stage that must be done for their time to be a measurement."""
_LOOKED_AT = 100
"""Videos whose stored frames are looked at."""


@dataclass(frozen=True, slots=True)
class LegEffort:
    """A leg: its stages, how many seconds this machine works on it with all of its workers, and how many its teachers
    need at the least and at the most. The leg takes the longer of both. `seconds` are None where a server's speed is
    neither measured nor given. `stated` are stages whose times are those of the table."""

    stages: tuple[str, ...]
    machine_s: float
    teachers_s: tuple[float, float]
    stated: tuple[str, ...]

    @property
    def seconds(self) -> tuple[float, float]:
        """The shortest and the longest time."""
        low, high = (max(self.machine_s, each) for each in self.teachers_s)
        return low, high


@dataclass(frozen=True, slots=True)
class Effort:
    """A whole run. Bytes are of what it will have taken in the end, with what is there already; `stated` names what is
    not measured but from the table."""

    legs: tuple[LegEffort, ...]
    workers: int
    tokens_s: float | None
    frames_bytes: int
    records_bytes: int
    memory_bytes: int
    stated: tuple[str, ...]

    @property
    def seconds(self) -> tuple[float, float]:
        """The shortest and the longest time of all legs, one after another."""
        low, high = (sum(leg.seconds[end] for leg in self.legs) for end in (0, 1))
        return low, high


def effort(found: Estimate, run: Path, settings: Settings, cache: Cache, tokens_s: float | None = None) -> Effort:
    """What the estimated run takes. `tokens_s`: what its teachers write together in a second."""
    status = read_status(run) if (run / LEDGER_FILE).is_file() else None
    known = {stage.name: stage for stage in status.stages} if status else {}
    calls = {spend.stage: spend.calls for spend in status.spend} if status else {}
    workers = settings.resources.workers or os.cpu_count() or 1
    legs = []
    for names in leg_names():
        lines = [line for line in found.lines if line.stage in names]
        machine, stated = _machine(names, found.videos, known, workers)
        teachers = _teachers(lines, known, calls, settings, tokens_s)
        if any(line.calls for line in lines) and not any(_measured_call(line.stage, known, calls) for line in lines):
            stated = (*stated, *(line.stage for line in lines if line.calls and tokens_s is None))
        legs.append(LegEffort(names, machine, teachers, tuple(dict.fromkeys(stated))))
    frames = _frames_bytes(run, settings, cache)
    records = _records_bytes(run, known)
    more = ["frames"] * (frames is None) + ["records"] * (records is None) + ["memory"]
    return Effort(
        tuple(legs),
        workers,
        tokens_s,
        round(found.videos * (frames or FRAMES_BYTES)),
        round(found.videos * ((records or RECORDS_BYTES) + REPLIES_BYTES)),
        workers * WORKER_BYTES + DRIVER_BYTES + found.videos * VIDEO_BYTES,
        tuple(more),
    )


def leg_names() -> list[tuple[str, ...]]:
    """The stages in groups: those between two looks at the whole collection, and each such look."""
    found: list[tuple[str, ...]] = []
    for kind, entries in groupby(STAGES, lambda each: each.stage.kind):
        names = tuple(each.name for each in entries)
        found += [names] if kind == "unit" else [(name,) for name in names]
    return found


def _machine(
    names: Iterable[str], videos: int, known: Mapping[str, StageStatus], workers: int
) -> tuple[float, tuple[str, ...]]:
    """Seconds of this machine, and the stages whose time a video is that of the table. Of stages that ask teachers the
    time is that of their calls."""
    seconds, stated = 0.0, []
    for name in names:
        stage = known.get(name)
        behind = stage.units_in - stage.pending if stage else 0
        if stage and stage.finished and name in _WHOLE:
            behind = videos
        if name not in SECONDS or behind >= videos:
            continue
        each = SECONDS[name]
        if stage and stage.seconds and behind >= _LEAST:
            each = stage.seconds / behind
        else:
            stated.append(name)
        seconds += each * (videos - behind)
    alone = not _BY_MANY.intersection(names)
    return seconds if alone else seconds / workers, tuple(stated)


def _teachers(
    lines: Sequence[Line],
    known: Mapping[str, StageStatus],
    calls: Mapping[str, int],
    settings: Settings,
    tokens_s: float | None,
) -> tuple[float, float]:
    """Seconds that the teachers of a leg need: by how long a call takes and how many are under way at once, and by
    what the teachers write in a second, where that is given."""
    by_calls: defaultdict[str, float] = defaultdict(float)
    low = high = 0.0
    for line in lines:
        each = _measured_call(line.stage, known, calls)
        if each is None:
            each = CALL_S if tokens_s is None else 0.0
        by_calls[line.teacher] += line.calls * each / settings.resources.concurrency
        if tokens_s is not None:
            low += line.completion_tokens[0] / tokens_s
            high += line.completion_tokens[1] / tokens_s
    slowest = max(by_calls.values(), default=0.0)
    return max(low, slowest), max(high, slowest)


def _measured_call(stage: str, known: Mapping[str, StageStatus], calls: Mapping[str, int]) -> float | None:
    """Seconds of a call, by those that the stage made: of the time of its units, in which calls of one unit may be
    under way together. None where too few are known."""
    if stage not in known or calls.get(stage, 0) < _LEAST:
        return None
    return known[stage].seconds / calls[stage]


def _frames_bytes(run: Path, settings: Settings, cache: Cache) -> float | None:
    """The bytes of a video's stored frames, on average over some videos of the run; None where few have any."""
    store, sizes = FrameStore(cache.frames), []
    for video in islice(RunFiles(run).read(Video), _LOOKED_AT):
        if (frames := store.get(video.sha256, settings.media)) is not None:
            stored = frames.frames[0].path.parents[1].rglob("*")  # of all samplings of the video
            sizes.append(sum(path.stat().st_size for path in stored if path.is_file()))
    return sum(sizes) / len(sizes) if len(sizes) >= _LEAST else None


def _records_bytes(run: Path, known: Mapping[str, StageStatus]) -> float | None:
    """The bytes of the run's folder a video; None where it has not come to its end."""
    done = known["probe"].done if "probe" in known else 0
    if done < _LEAST or "judgments" not in known or not known["judgments"].finished:
        return None
    return sum(path.stat().st_size for path in run.iterdir() if path.is_file()) / done
