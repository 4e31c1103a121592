"""A small chain of real stages that shows every way in which a unit can end, and the means to run it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.stage import Output, Reader, Source, Unit
from hardcut.schemas.base import Record
from hardcut.schemas.errors import DropItem, ItemError
from hardcut.schemas.records import Caption, Dropped, Evidence, Pair, Query, TeacherLabel, TeacherRef

TEACHER = TeacherRef(backend="test", model="none")


@dataclass
class Look:
    """Sources -> evidence. Every 7th unit is dropped, every 11th fails, every 13th fails in part."""

    settings: Mapping[str, object] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    mended: bool = False
    delay_s: float = 0.0
    kind: ClassVar[str] = "unit"
    name: str = "look"
    version: int = 1
    over: None = None
    reads: tuple[type[Record], ...] = ()
    makes: tuple[type[Record], ...] = (Evidence,)

    async def run(self, unit: Unit) -> Output:
        self.calls[unit.id] += 1
        await asyncio.sleep(self.delay_s * (hash(unit.id) % 5))
        number = int(unit.payload)  # type: ignore[call-overload]
        if number % 7 == 3:
            raise DropItem("dull", "nothing happens")
        if number % 11 == 5 and not self.mended:
            raise ItemError("damaged", "does not decode", "moov atom not found")
        seen = [
            Evidence.create(video_id=unit.id, kind="ocr", text=f"{unit.id} says {n} {self.settings}", extractor="test")
            for n in range(number % 3 + 1)
        ]
        gone = Dropped.create(item=f"{unit.id}#x", stage=self.name, reason="empty")
        if number % 13 == 6:
            from hardcut.engine.stage import Failure

            return Output(records=seen, failure=Failure("half", "the end is missing"))
        return Output(records=seen, dropped=[gone] if number % 5 == 0 else [])


@dataclass
class Tell:
    """Evidence -> one caption a video."""

    settings: Mapping[str, object] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    delay_s: float = 0.0
    kind: ClassVar[str] = "unit"
    name: str = "tell"
    version: int = 1
    over: str = "look"
    reads: tuple[type[Record], ...] = (Evidence,)
    makes: tuple[type[Record], ...] = (Caption, Query)

    async def run(self, unit: Unit) -> Output:
        self.calls[unit.id] += 1
        await asyncio.sleep(self.delay_s * (hash(unit.id) % 3))
        text = " and ".join(evidence.text for evidence in unit.all(Evidence)) + str(self.settings)
        caption = Caption.create(video_id=unit.id, text=text, teacher=TEACHER)
        query = Query.create(text=text, view="caption", kind="event", source_video_id=unit.id)
        return Output(records=[caption, query])


@dataclass
class Mine:
    """All queries and captions -> pairs of every query with its own and the next video. A collection stage."""

    settings: Mapping[str, object] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    kind: ClassVar[str] = "collection"
    name: str = "mine"
    version: int = 1
    reads: tuple[type[Record], ...] = (Query, Caption)
    makes: tuple[type[Record], ...] = (Pair,)

    def run(self, records: Reader) -> Iterable[tuple[str, Output]]:
        self.calls["run"] += 1
        videos = [caption.video_id for caption in records.all(Caption)]
        for number, query in enumerate(records.all(Query)):
            assert records.get(Query, query.query_id) == query
            if number % 6 == 1:
                drop = Dropped.create(item=query.query_id, stage=self.name, reason="easy")
                yield query.query_id, Output(drop=drop)
                continue
            chosen = {query.source_video_id or "": "yes", videos[number * 3 % len(videos)]: "no"}
            yield (
                query.query_id,
                Output(
                    records=[
                        Pair.create(query_id=query.query_id, video_id=video, origins=("mined",), expected=expected)
                        for video, expected in sorted(chosen.items())
                    ]
                ),
            )


@dataclass
class Judge:
    """Regrouped by video: pairs -> one label each."""

    settings: Mapping[str, object] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    delay_s: float = 0.0
    kind: ClassVar[str] = "unit"
    name: str = "judge"
    version: int = 1
    over: type[Record] = Pair
    reads: tuple[type[Record], ...] = (Pair, Caption)
    makes: tuple[type[Record], ...] = (TeacherLabel,)

    async def run(self, unit: Unit) -> Output:
        self.calls[unit.id] += 1
        await asyncio.sleep(self.delay_s * (hash(unit.id) % 3))
        assert unit.one(Caption).video_id == unit.id
        return Output(
            records=[
                TeacherLabel.create(
                    pair_id=pair.pair_id, query_id=pair.query_id, video_id=unit.id, verdict="unparsed", teacher=TEACHER
                )
                for pair in unit.all(Pair)
            ]
        )


def sources(count: int, fingerprint: str = "1") -> list[Source]:
    return [Source(f"video{number:04d}", fingerprint, number) for number in range(count)]


@dataclass
class Chain:
    """The four stages with their counters."""

    look: Look = field(default_factory=Look)
    tell: Tell = field(default_factory=Tell)
    mine: Mine = field(default_factory=Mine)
    judge: Judge = field(default_factory=Judge)

    @property
    def stages(self) -> list[object]:
        return [self.look, self.tell, self.mine, self.judge]

    @property
    def calls(self) -> dict[str, int]:
        return {stage.name: sum(stage.calls.values()) for stage in (self.look, self.tell, self.mine, self.judge)}

    async def run(self, run: Path, given: Sequence[Source], **options: object) -> dict[str, int]:
        """Runs the chain; returns how many units each stage was called for."""
        before = self.calls
        with Ledger(run) as ledger:
            await Engine(ledger, concurrency=16).run(self.stages, given, **options)  # type: ignore[arg-type]
        return {name: count - before[name] for name, count in self.calls.items()}


def outputs(run: Path) -> dict[str, bytes]:
    """Every file that a run shows, by name."""
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.jsonl"))}


@pytest.fixture
def new_chain() -> type[Chain]:
    return Chain


@pytest.fixture
def given() -> Callable[..., list[Source]]:
    return sources


@pytest.fixture
def files_of() -> Callable[[Path], dict[str, bytes]]:
    return outputs


@pytest.fixture
def child() -> Callable[..., subprocess.Popen[str]]:
    """Starts a Python process that has this module's names and runs the code given."""

    def start(code: str, *args: object, **options: object) -> subprocess.Popen[str]:
        program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from conftest import *\n{code}"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-c", program, *map(str, args)]
        return subprocess.Popen(command, env=environment, text=True, **options)  # type: ignore[call-overload,no-any-return]

    return start
