"""A leg: units go from stage to stage while others are still behind, in bounded number, and wait for others."""

from __future__ import annotations

import asyncio
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
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
from hardcut.schemas.copies import Group
from hardcut.schemas.errors import BudgetReached, MissingDependency
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


class Sum:
    """Sees all Evidence, and nothing that the leg before it makes of it; `told` once it is through."""

    kind: ClassVar[str] = "collection"
    name: ClassVar[str] = "sum"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[type[Record], ...]] = (Evidence,)
    makes: ClassVar[tuple[type[Record], ...]] = (Group,)
    settings: ClassVar[dict[str, object]] = {}

    def __init__(self) -> None:
        self.runs = 0
        self.begun, self.may_go_on, self.told = threading.Event(), threading.Event(), threading.Event()
        self.may_go_on.set()

    def run(self, records: Any) -> Iterator[tuple[str, Output]]:
        self.runs += 1
        self.begun.set()
        assert self.may_go_on.wait(20)
        first = {line.video_id: line.evidence_id for line in records.all(Evidence)}
        for video_id, evidence_id in first.items():
            yield video_id, Output(records=[Group(video_id=video_id, group_id=evidence_id, size=1)])
        self.told.set()


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


async def test_a_stage_that_sees_everything_waits_for_nobody_that_it_does_not_need(
    tmp_path, new_chain, given, files_of
):
    """It is through before the last stage of the leg has done a unit; its files are those of one after the other."""
    chain, whole = new_chain(), Sum()
    stages = [chain.look, chain.tell, whole, chain.mine, chain.judge]
    work = chain.tell.run

    async def late(unit):
        while not whole.told.is_set():  # noqa: ASYNC110 - it is set in a thread, and threads are few
            await asyncio.sleep(0.01)
        return await work(unit)

    chain.tell.run = late
    await asyncio.wait_for(run(tmp_path / "a", stages, given(40)), 60)  # else it waits for what it does not read
    chain.tell.run = work
    for until in ("look", "tell", "sum", None):
        with Ledger(tmp_path / "b") as ledger:
            await Engine(ledger).run(stages, given(40), until=until)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") and whole.runs == 2
    await run(tmp_path / "a", stages, given(40))
    assert whole.runs == 2, "it is known"
    whole.told.clear()
    chain.tell.run = late
    with Ledger(tmp_path / "c") as ledger:
        await Engine(ledger).run(stages, given(40), until="look")
    await asyncio.wait_for(run(tmp_path / "c", stages, given(40)), 60)  # nothing of the leg is waited for
    assert files_of(tmp_path / "a") == files_of(tmp_path / "c")


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
async def test_a_stage_beside_a_leg_is_kept_where_it_was_through(tmp_path, new_chain, given, files_of, when):
    """Interrupted before it, in it and behind it, and started again."""
    chain, whole = new_chain(), Sum()
    stages = [chain.look, chain.tell, whole, chain.mine, chain.judge]
    look, tell = chain.look.run, chain.tell.run
    chain.tell.run = lambda unit: asyncio.sleep(30)
    if when == "before":
        chain.look.run = lambda unit: asyncio.sleep(0 if int(unit.payload) else 30, Output())
    if when == "meanwhile":
        whole.may_go_on.clear()
    under_way = asyncio.create_task(run(tmp_path / "a", stages, given(40), 64))
    event = whole.begun if when == "meanwhile" else whole.told
    assert await asyncio.to_thread(event.wait, 2 if when == "before" else 20) == (when != "before")
    await asyncio.sleep(0.3)  # the ledger learns of it
    under_way.cancel()
    whole.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    chain.look.run, chain.tell.run, runs = look, tell, whole.runs
    if when == "before":
        chain.look.settings = {"again": True}
    await run(tmp_path / "a", stages, given(40))
    assert whole.runs == runs + (when != "after")
    await run(tmp_path / "b", stages, given(40))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


async def test_what_a_stage_beside_a_leg_raises_leaves_the_leg_whole(tmp_path, new_chain, given):
    chain, whole = new_chain(), Sum()

    def fails(records: Any) -> Any:
        raise MissingDependency("nothing can sum: pip install sums")

    whole.run = fails
    with pytest.raises(MissingDependency):
        await run(tmp_path, [chain.look, chain.tell, whole, chain.mine], given(40))
    look, tell, last, mine = read_status(tmp_path).stages
    assert look.finished and tell.finished and not last.finished and not mine.units_in
    assert (tmp_path / Caption.FILE).exists()


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


@pytest.mark.parametrize("until", [None, "look"])
@pytest.mark.parametrize("seed", [0, 1])
async def test_a_unit_may_wait_for_one_that_comes_far_behind(tmp_path, new_chain, given, until, seed):
    """More units wait than there is room for in a leg; also in a pass that begins in the middle."""
    chain, units = new_chain(), given(300)
    order = [unit.id for unit in units]
    random.Random(seed).shuffle(order)
    second = Second(order)
    stages = [chain.look, chain.tell, second]
    if until:
        with Ledger(tmp_path) as ledger:
            await Engine(ledger, concurrency=1).run(stages, units, until=until)
    await asyncio.wait_for(run(tmp_path, stages, units, 1, second), 60)
    assert len(second.calls) == read_status(tmp_path).stages[1].done > 200


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


KILLED = """
import random, time
from tests.engine.test_legs import Sum

whole, folder, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
chance = random.Random(3)

async def carry_out(run):
    chain = Chain()
    chain.look.delay_s = chain.tell.delay_s = 0.01
    with Ledger(run) as ledger:
        stages = [chain.look, chain.tell, Sum(), chain.mine, chain.judge]
        await Engine(ledger, concurrency=16).run(stages, sources(60))

def start(run):
    child = os.fork()
    if not child:
        asyncio.run(carry_out(run))
        os._exit(0)
    return child

began = time.monotonic()
assert os.waitpid(start(whole), 0)[1] == 0
longest = time.monotonic() - began
while kills:
    child = start(folder)
    time.sleep(chance.uniform(longest / 6, longest))
    if os.waitpid(child, os.WNOHANG)[0]:
        break
    os.kill(child, 9)
    os.waitpid(child, 0)
    kills -= 1
assert os.waitpid(start(folder), 0)[1] == 0
assert outputs(folder) == outputs(whole) and len(outputs(whole)) >= 6
print("same", flush=True)
"""


@pytest.mark.timeout(300)
def test_killed_with_a_stage_beside_the_leg_the_files_are_the_same(tmp_path, child):
    told, _ = child(KILLED, tmp_path / "a", tmp_path / "b", 6, stdout=subprocess.PIPE).communicate()
    assert told.strip() == "same"


async def test_units_that_are_held_wait_for_another_start(tmp_path, new_chain, given, files_of):
    """A third goes through, with two units that it waits for; what looks at all of them is not begun. The next start
    does the rest, each unit once, and leaves what an undivided run leaves."""
    whole, chain, units = new_chain(), new_chain(), given(90)
    ids = [unit.id for unit in units]
    second = Second(ids)
    await run(tmp_path / "whole", [whole.look, whole.tell, second, whole.mine], units, 8, second)
    second = Second(ids)
    stages = [chain.look, chain.tell, second, chain.mine]
    taken = {"look": 32, "tell": 32, "second": 30}
    with Ledger(tmp_path / "part") as ledger:
        engine = Engine(ledger, concurrency=8, passage=second)
        held = {stage: frozenset(ids[most:]) for stage, most in taken.items()}
        await asyncio.wait_for(engine.run(stages, units, held=lambda stage, unit: unit in held[stage]), 30)
    known = {stage.name: stage for stage in read_status(tmp_path / "part").stages}
    assert set(chain.look.calls) == set(ids[:32]) and set(second.calls) <= set(ids[:30])
    assert not any(stage.finished for stage in known.values()) and known["look"].units_in == 90
    assert known["look"].pending == 58 and not known["mine"].units_in
    await run(tmp_path / "part", stages, units, 8, second)
    assert set(chain.look.calls.values()) == set(chain.tell.calls.values()) == set(second.calls.values()) == {1}
    assert files_of(tmp_path / "part") == files_of(tmp_path / "whole")
