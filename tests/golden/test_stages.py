"""No stage changes what it makes without counting up its version: a run would go on with what the old code made.

Teachers are a tape: what is asked is part of a stage's result, and what is answered does not depend on our own rules.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hardcut.engine.stage import Failure, Output, Unit
from hardcut.media.collection import scan
from hardcut.media.frames import Frame, FrameSet
from hardcut.media.store import former_survey_digest, sampling_digest, survey_digest
from hardcut.media.survey import Burst, Survey
from hardcut.pipeline.context import Context
from hardcut.pipeline.stages import STAGES
from hardcut.schemas.base import Record
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.copies import Signature
from hardcut.schemas.errors import DropItem, ItemError
from hardcut.schemas.ids import digest
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Review
from hardcut.schemas.records import Caption, Dropped, Query, Sampling, TeacherRef, Tokens, Video
from hardcut.schemas.settings import (
    Inputs,
    MediaSettings,
    NegativeSettings,
    QuerySettings,
    ScoreSettings,
    Settings,
    TripletSettings,
)
from hardcut.schemas.triplets import NUANCES
from hardcut.teacher.protocol import Answer, Outcome, Refusal, Reply, Request
from hardcut.teacher.rules.teacher import EvidenceTeacher

REAL = ("signs/order-01-a", "motion/ball-01-a")
"""The videos whose frames are there."""
ON_FRAMES = ("signatures", "evidence")
"""Stages that look at pictures. What they make is kept in full, since their numbers differ from machine to machine."""
_BY_NUMBERS = 0.02
_UNITS = 4
"""Videos that a stage of many questions is held against."""
MEDIA = MediaSettings(fps=2.0, max_frames=16, max_pixels=57600)


class Records:
    """What a run has, as stages read it."""

    def __init__(self, folder: Path) -> None:
        self._of: dict[type[Record], list[Any]] = {}
        for kind in RECORDS:
            path = folder / kind.FILE
            self._of[kind] = list(read_records(path, kind)) if path.exists() else []

    def all(self, kind: type[Any]) -> Iterator[Any]:
        return iter(self._of[kind])

    def get(self, kind: type[Any], id: str) -> Any:
        return next((record for record in self._of[kind] if record.id == id), None)

    def about(self, kind: type[Any], subject: str) -> list[Any]:
        return [record for record in self._of[kind] if record.about == subject]

    def unit(self, video_id: str, kinds: Sequence[type[Record]]) -> Unit:
        return Unit(video_id, tuple(record for kind in kinds for record in self.about(kind, video_id)))

    # as `pipeline.context.Lookup`

    def query(self, query_id: str) -> Query:
        found: Query = self.get(Query, query_id)
        return found

    def reference(self, video_id: str) -> Unit:
        return self.unit(video_id, (Video, Caption))

    def neighbours(self, video_id: str) -> list[Unit]:
        return []

    async def neighbours_ready(self, video_id: str) -> None:
        pass

    def changed(self, video_id: str) -> list[Query]:
        return []


@dataclass
class Frames:
    """Stored frames, real ones of two videos and names of such of all others."""

    root: Path
    inputs: Path
    store: Path
    media: MediaSettings = MEDIA
    limit_bytes: None = None
    fetched: None = None

    @property
    def pool(self) -> Frames:
        return self

    @staticmethod
    async def call(work: Callable[..., Any], *args: Any, timeout_s: float | None = None) -> Any:
        return work(*args)

    @property
    def sampling(self) -> str:
        return sampling_digest(self.media)

    @asynccontextmanager
    async def at_hand(self, video: Video) -> AsyncIterator[None]:
        yield

    @asynccontextmanager
    async def leased(self, video: Video) -> AsyncIterator[FrameSet]:
        folder = self.inputs / "frames" / video.video_id.rpartition("/")[2]
        if folder.exists():
            frames = [
                Frame(folder / name, time_s, hashlib.sha256((folder / name).read_bytes()).hexdigest())
                for name, time_s in json.loads((folder / "times.json").read_text())
            ]
        else:
            times = (number / 2 for number in range(min(16, int(video.duration_s * 2))))
            frames = [Frame(folder / f"{time_s}.jpg", time_s, digest(video.sha256, time_s)) for time_s in times]
        yield FrameSet(tuple(frames), video.duration_s, video.complete, video.missing)

    @property
    def survey(self) -> str:
        return survey_digest(self.media)

    @property
    def former_survey(self) -> str:
        return former_survey_digest(self.media)

    @asynccontextmanager
    async def looked_at(self, video: Video) -> AsyncIterator[Survey]:
        """A survey that found no cut, its burst made of the stored frames."""
        async with self.leased(video) as stored:
            times = tuple(frame.time_s for frame in stored.frames)
            jpegs = [frame.read() for frame in stored.frames]
            path = self.store.with_name("burst.mjpg")
            path.write_bytes(b"".join(jpegs))
            burst = Burst(path, times, tuple(map(len, jpegs)), 0.0, video.duration_s)
            yield Survey((burst,), (), ((times[0], times[-1]),), video.duration_s)


@dataclass
class Tape:
    """A teacher that says what is on the tape. While recording, what is not is taken from the `evidence` teacher."""

    kept: dict[str, Any]
    recording: bool
    asked: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, settings: object) -> Tape:
        return self

    def describe(self, task: str, sampling: Sampling) -> TeacherRef:
        return TeacherRef(backend="tape", model="tape")

    async def complete(self, requests: Sequence[Request]) -> list[Outcome]:
        return [await self._one(request) for request in requests]

    def recogniser(self, pool: object) -> None:
        """Nobody hears: speech is out of subtitles."""

    def tagger(self, pool: object) -> None:
        """Nobody names sounds."""

    digests = None
    """Of model folders: none is used."""

    async def close(self) -> None: ...

    async def _one(self, request: Request) -> Outcome:
        shown = [[frame.time_s for frame in frames] for frames in (request.frames, request.reference)]
        reply = request.reply.__name__ if request.reply else None
        key = digest(request.task, dict(request.inputs), request.sampling.model_dump(), reply, shown)[:24]
        if key not in self.kept and self.recording:
            (outcome,) = await EvidenceTeacher().complete([request])
            self.kept[key] = _taped(outcome)
        said = self.asked[key] = self.kept.get(key)
        if said is None:
            return Refusal("not_on_tape", f"{request.task} was asked in other words")
        if "refusal" in said:
            return Refusal(*said["refusal"])
        return Reply(
            text=said["text"],
            teacher=self.describe(request.task, request.sampling),
            parsed=request.reply.model_validate(said["parsed"]) if request.reply else None,
            answer=Answer(**said["answer"]) if said["answer"] else None,
            tokens=Tokens(prompt=10, completion=2),
        )


def _taped(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Refusal):
        return {"refusal": [outcome.reason, outcome.detail, outcome.raw]}
    parsed = outcome.parsed.model_dump(mode="json") if outcome.parsed else None
    return {"text": outcome.text, "parsed": parsed, "answer": asdict(outcome.answer) if outcome.answer else None}


def _content(record: Record) -> Any:
    """What a record says. Fields at their defaults are left out: one that is added later is no change."""
    return record.model_dump(mode="json", exclude_defaults=True)


def _short(value: Any) -> str:
    """A digest of what a record says, numbers to six digits."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return float(f"{value:.6g}")
        if isinstance(value, dict):
            return {key: rounded(each) for key, each in value.items()}
        return [rounded(each) for each in value] if isinstance(value, list) else value

    return digest(rounded(value))[:16]


def _seen(record: Record) -> Any:
    """What a record says that comes from pictures, without ids that are digests of its numbers."""
    if isinstance(record, Signature):
        sheet = Image.open(io.BytesIO(base64.b64decode(record.sheet))).convert("RGB").resize((4, 1))
        return {"times": record.times, "hashes": record.hashes, "sheet": list(sheet.tobytes())}
    return record.model_dump(mode="json", exclude_defaults=True, exclude={type(record).ID})


def _result(output: Output, in_full: bool) -> dict[str, Any]:
    records = sorted((*output.records, *output.dropped), key=lambda record: record.id)
    found: dict[str, Any] = {record.id: _short(_content(record)) for record in records}
    if in_full:
        found = {"records": sorted(map(_seen, records), key=str)}
    if output.drop:
        found["drop"] = [output.drop.reason, output.drop.detail]
    if output.failure:
        found["failure"] = [output.failure.reason, output.failure.detail]
    return found


class Golden:
    """All that a stage of the run over the fixed inputs is made with."""

    def __init__(self, inputs: Path, scratch: Path, tape: Tape) -> None:
        self.records = Records(inputs / "records")
        self.tape = tape
        (scratch / Review.FILE).write_bytes((inputs / "records" / Review.FILE).read_bytes())
        self._settings = Settings(
            inputs=Inputs(queries=str(inputs / "records" / "queries.tsv")),
            media=MEDIA,
            queries=QuerySettings(paraphrases=1, composed=1),
            negatives=NegativeSettings(per_query=2),
            triplets=TripletSettings(nuances=NUANCES),
            scores=ScoreSettings(show_metadata=True),  # all that there is to tell
        )
        self._frames = Frames(inputs / "clips", inputs, scratch / "store")
        self._scratch = scratch

    @cached_property
    def context(self) -> Context:
        made: Any = (self._settings, self._scratch, self._frames, self.tape, self.records)
        return Context(*made)

    async def results(self, stage: Any) -> dict[str, Any]:
        """What becomes of each unit, by its id."""
        in_full = stage.name in ON_FRAMES
        if stage.kind == "collection":
            return {unit: _result(output, in_full) for unit, output in stage.run(self.records)}
        return {unit.id: _result(await self._one(stage, unit), in_full) for unit in self._units(stage)}

    def _units(self, stage: Any) -> Iterator[Unit]:
        if stage.over is None:
            for file in scan(self._frames.root).files:
                yield Unit(file.video_id, (), file)
            return
        videos = [video.id for video in self.records.all(Video)]
        for video_id in REAL if stage.name in ON_FRAMES else videos[: _UNITS if stage.name == "scores" else None]:
            yield self.records.unit(video_id, stage.reads)

    async def _one(self, stage: Any, unit: Unit) -> Output:
        try:
            output: Output = await stage.run(unit)
        except (DropItem, ItemError) as error:
            return _ended(stage.name, unit, error)
        return output


def _ended(stage: str, unit: Unit, error: DropItem | ItemError) -> Output:
    """As the engine does."""
    if isinstance(error, DropItem):
        return Output(drop=Dropped.create(item=unit.id, stage=stage, reason=error.reason, detail=error.detail))
    return Output(failure=Failure(error.reason, error.detail, error.raw))


@pytest.mark.parametrize("name", [entry.name for entry in STAGES])
async def test_what_a_stage_makes_of_fixed_inputs(
    name: str, inputs: Path, tmp_path: Path, hold: Any, kept_tape: Any, recording: bool
) -> None:
    golden = Golden(inputs, tmp_path, Tape(kept_tape(f"stages/{name}"), recording))
    (entry,) = (entry for entry in STAGES if entry.name == name)
    stage = entry.make(golden.context)
    assert stage is not None
    results = await golden.results(stage)
    assert results, "the fixed inputs have units for every stage"
    asked = sorted(golden.tape.asked)
    versions = {key: value for key, value in stage.settings.items() if key in ("versions", "imagehash", "bm25s")}
    hold(
        f"stages/{name}",
        stage.version,
        {"units": results, "asked": [len(asked), digest(asked)]},
        tolerance=_BY_NUMBERS if name in ON_FRAMES else 1e-6,
        libraries=versions or None,
        tape=golden.tape.asked or None,
    )
