"""A leg: units go from stage to stage while others are still behind, in bounded number, and wait for others."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hardcut.engine.engine import Engine
from hardcut.engine.ledger import Ledger
from hardcut.engine.plan import legs, plan
from hardcut.engine.pool import WorkerPool, urgency
from hardcut.engine.stage import Output
from hardcut.engine.status import read_status
from hardcut.schemas.base import Record
from hardcut.schemas.errors import BudgetReached
from hardcut.schemas.records import Caption, Evidence, TeacherRef
from tests.engine.pool_work import note


class Second:
    """Behind `tell`, for every unit of it: `ready` waits until the two units that follow are told."""

    kind: ClassVar[str] = "unit"
    name: ClassVar[str] = "second"
    version: ClassVar[int] = 1
    over: ClassVar[str] = "tell"
    reads: ClassVar[tuple[type[Record], ...]] = (Caption,)
    makes: ClassVar[tuple[type[Record], ...]] = (Evidence,)
    settings: ClassVar[dict[str, object]] = {}

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
        self.told = {id: asyncio.Event() for id in ids}
        self.calls: Counter[str] = Counter()

    def begun(self, stage: str) -> None:
        if stage == "tell":
            self.told = {id: asyncio.Event() for id in self.ids}

    def passed(self, stage: str, unit: str) -> None:
        if stage == "tell":
            self.told[unit].set()

    def after(self, unit_id: str) -> list[str]:
        at = self.ids.index(unit_id)
        return [*self.ids[at + 1 :], *self.ids[:at]][:2]

    async def ready(self, unit_id: str) -> None:
        for other in self.after(unit_id):
            await self.told[other].wait()

    async def run(self, unit: Any) -> Output:
        self.calls[unit.id] += 1
        assert all(self.told[other].is_set() for other in self.after(unit.id))
        return Output(records=[Evidence.create(video_id=unit.id, kind="shot", text="a shot", extractor="test")])


async def run(
    folder: Path, stages: list[Any], given: list[Any], concurrency: int = 16, passage: Second | None = None
) -> None:
    with Ledger(folder) as ledger:
        await Engine(ledger, concurrency=concurrency, passage=passage).run(stages, given)


def test_legs_are_the_unit_stages_between_two_looks_at_everything(new_chain):
    chain = new_chain()
    stages = [chain.look, chain.tell, Second([]), chain.mine, chain.judge]
    found = [[step.name for step in leg] for leg in legs(plan(stages))]
    assert found == [["look", "tell", "second"], ["mine"], ["judge"]]


async def test_units_go_on_while_others_are_behind(tmp_path, new_chain, given):
    chain, order = new_chain(), []
    for stage in (chain.look, chain.tell):
        work = stage.run

        async def noted(unit, work=work, name=stage.name):
            order.append(name)
            return await work(unit)

        stage.run = noted
    await run(tmp_path, chain.stages, given(200), concurrency=2)
    assert order.index("tell") <= 4, "the first unit is told before the others are looked at"
    assert "look" in order[-60:], "and the last are looked at near the end"


async def test_what_is_under_way_is_bounded(tmp_path, new_chain, given):
    """Where the second stage is slow, the first does not run ahead."""
    chain, far, in_tell = new_chain(), [], []
    told, work = 0, chain.tell.run

    async def slow(unit):
        nonlocal told
        far.append(sum(chain.look.calls.values()) - told)
        in_tell.append(sum(chain.tell.calls.values()) - told + 1)
        await asyncio.sleep(0.002)
        output = await work(unit)
        told += 1
        return output

    chain.tell.run = slow
    await run(tmp_path, chain.stages, given(400), concurrency=10)
    dropped_or_failed = 400 - told
    assert max(in_tell) <= 10, "as many units in a stage as were asked for"
    assert max(far) <= 4 * 10 + dropped_or_failed


@pytest.mark.parametrize("concurrency", [1, 3, 16])
async def test_a_unit_waits_for_others_and_holds_nobody(tmp_path, new_chain, given, files_of, concurrency):
    """Also where units are dropped on the way, and round the end of the list."""
    chain, units = new_chain(), given(90)
    second = Second([unit.id for unit in units])
    stages = [chain.look, chain.tell, second]
    await asyncio.wait_for(run(tmp_path, stages, units, concurrency, second), 30)
    assert len(second.calls) == read_status(tmp_path).stages[1].done > 40
    again = Second(second.ids)
    await run(tmp_path, [chain.look, chain.tell, again], units, concurrency, again)
    assert not again.calls


async def test_a_unit_that_waits_ends_with_the_budget(tmp_path, new_chain, given):
    chain, units = new_chain(), given(60)
    second, work = Second([unit.id for unit in units]), chain.tell.run

    async def paid(unit):
        if len(chain.tell.calls) >= 8:
            raise BudgetReached("8 of 8 teacher calls are spent")
        return await work(unit)

    chain.tell.run = paid
    with pytest.raises(BudgetReached):
        await asyncio.wait_for(run(tmp_path, [chain.look, chain.tell, second], units, 16, second), 30)
    look, tell, last = read_status(tmp_path).stages
    assert look.finished and tell.done == 8 and not tell.failed and last.units_in == last.done + last.pending


async def test_a_stage_makes_records_of_its_own_unit_alone(tmp_path, new_chain, given):
    """Else what a later stage reads would hang on which unit came first."""
    chain = new_chain()

    async def foreign(unit):
        teacher = TeacherRef(backend="test", model="none")
        return Output(records=[Caption.create(video_id="video0001", text=unit.id, teacher=teacher)])

    chain.tell.run = foreign
    await run(tmp_path, chain.stages, given(10))
    failed = {unit.unit: unit.detail for unit in read_status(tmp_path).failed if unit.stage == "tell"}
    assert failed.keys() == {f"video000{number}" for number in (0, 2, 4, 7, 8, 9)}
    assert "'video0002' made records about 'video0001'" in failed["video0002"]


async def test_the_call_that_is_further_on_goes_first(tmp_path):
    """One worker: while it is busy, calls of three stages come; the last stage's is taken first."""
    log = tmp_path / "log"
    with WorkerPool(1, 30) as pool:

        async def call(name: str, at: int) -> None:
            urgency.set(at)
            await pool.call(note, str(log), name, 0.3 if name == "busy" else 0.0)

        tasks = [asyncio.create_task(call("busy", 0))]
        await asyncio.sleep(0.1)
        tasks += [asyncio.create_task(call(name, at)) for name, at in (("a", 1), ("b", 3), ("c", 2), ("d", 3))]
        await asyncio.gather(*tasks)
    assert log.read_text().split() == ["busy", "b", "d", "c", "a"]
