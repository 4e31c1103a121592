"""What a plan says of time, disk and memory: from a table, and from what a run has measured."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.plan import legs, plan
from hardcut.engine.stage import Output, Source, Unit
from hardcut.engine.status import read_status
from hardcut.pipeline import effort as module
from hardcut.pipeline.cache import Cache
from hardcut.pipeline.effort import SECONDS, Effort, LegEffort, effort, leg_names
from hardcut.pipeline.estimate import Estimate, Line
from hardcut.schemas.resources import Budget
from hardcut.schemas.settings import Settings


def line(stage: str, calls: int, tokens: tuple[int, int]) -> Line:
    return Line(stage, "openai:m@http://127.0.0.1:9/v1", 0, 0, calls, 0, 0, tokens, (0.0, 0.0))


def planned(tmp_path: Path, videos: int, *lines: Line, tokens_s: float | None = None, **resources: Any) -> Effort:
    settings = Settings.model_validate({"resources": resources})
    estimate = Estimate(videos, lines, Budget())
    return effort(estimate, tmp_path / "run", settings, Cache(tmp_path / "cache"), tokens_s)


def of(found: Effort, stage: str) -> LegEffort:
    [leg] = [leg for leg in found.legs if stage in leg.stages]
    return leg


class Sleeps:
    kind: ClassVar[Any] = "unit"
    name, version, over, reads, makes, settings = "probe", 1, None, (), (), {}

    async def run(self, unit: Unit) -> Output:
        await asyncio.sleep(0.05)
        return Output()


def test_legs_are_those_of_the_engine(tmp_path: Path) -> None:
    class Of:
        def __init__(self, stage: Any, before: str | None) -> None:
            self.kind, self.name, self.version = stage.kind, stage.name, 1
            self.reads, self.makes, self.settings, self.over = (), (), {}, before

    made, last = [], None
    for entry in module.STAGES:
        made.append(Of(entry.stage, last))
        last = entry.name if entry.stage.kind == "unit" else None
    assert [tuple(step.name for step in leg) for leg in legs(plan(made))] == leg_names()  # type: ignore[arg-type]


def test_without_a_run_the_table_counts_and_is_named(tmp_path: Path) -> None:
    found = planned(tmp_path, 1000, line("captions", 2000, (80_000, 1_000_000)), workers=8, tokens_s=1000.0)
    first = of(found, "captions")
    alone = sum(SECONDS[name] for name in ("probe", "signatures", "evidence"))
    assert first.machine_s == pytest.approx(1000 * alone / 8) and first.teachers_s == (80.0, 1000.0)
    assert first.seconds == (first.machine_s, 1000.0) and first.stated == ("probe", "signatures", "evidence")
    assert of(found, "twins").machine_s == 1000 * SECONDS["twins"], "one process"
    assert found.seconds[1] == sum(leg.seconds[1] for leg in found.legs)
    more = planned(tmp_path, 2000, line("captions", 4000, (160_000, 2_000_000)), workers=16, tokens_s=1000.0)
    assert of(more, "captions").machine_s == first.machine_s and more.frames_bytes == 2 * found.frames_bytes
    assert more.memory_bytes - found.memory_bytes == 8 * module.WORKER_BYTES + 1000 * module.VIDEO_BYTES


def test_without_a_speed_of_the_teachers_calls_take_what_the_table_says(tmp_path: Path) -> None:
    found = of(planned(tmp_path, 10, line("scores", 640, (640, 640)), concurrency=32), "scores")
    assert found.teachers_s == (20 * module.CALL_S, 20 * module.CALL_S) and found.stated == ("scores",)


def test_what_the_run_has_done_is_measured(tmp_path: Path) -> None:
    async def run() -> None:
        with Ledger(tmp_path / "run") as ledger:
            await Engine(ledger, concurrency=4).run([Sleeps()], [Source(f"u{at}", "1", None) for at in range(20)])

    asyncio.run(run())
    [stage] = read_status(tmp_path / "run").stages
    found = of(planned(tmp_path, 1020, workers=1), "probe")
    others = SECONDS["signatures"] + SECONDS["evidence"]
    assert found.stated == ("signatures", "evidence")
    assert found.machine_s == pytest.approx(1000 * stage.seconds / 20 + 1020 * others) and stage.seconds >= 1.0
