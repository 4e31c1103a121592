"""Carries out a leg: the stages between two looks at the whole collection, in one pass.

A unit goes from stage to stage as soon as it is settled at one, whatever the others do. So processors, decoders and
teachers have work from the first seconds on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from hardcut.engine.checksums import DamagedResult
from hardcut.engine.ledger import PAGE, Ledger
from hardcut.engine.plan import Step
from hardcut.engine.pool import Home, home
from hardcut.engine.progress import Progress, Watcher
from hardcut.engine.results import Status
from hardcut.engine.stage import Source, UnitStage
from hardcut.engine.unit_runner import UnitRunner
from hardcut.engine.units import Offered, in_force, is_offered, keys_of, offered
from hardcut.schemas.errors import BudgetReached

T = TypeVar("T")
_ROOM = 4
"""Units of a leg that are under way at once, as a multiple of the units that may be in one stage: what is slow has all
the units that it can take, and what is fast goes on with others."""
_LEAST_ROOM = 32
"""A unit may wait for some that come behind it (`UnitStage.ready`), which must find room."""

_log = logging.getLogger(__name__)


class Again(NamedTuple):
    """What of a run is done although its result is known: what failed, and what earlier versions of a stage made."""

    failed: bool = False
    renew: str | None = None


class Passage(Protocol):
    """Is told how units go through the stages of legs."""

    def begun(self, stage: str) -> None:
        """All units of a stage are met anew: none is behind it."""

    def passed(self, stage: str, unit: str) -> None:
        """A unit is behind a stage: settled there, or no unit of it."""


class _Entry(NamedTuple):
    """A unit that has work, from stage number `at` of the leg on. The ledger knows it there under `key`."""

    unit: Offered
    at: int
    key: str


class Leg:
    """One pass through `steps`, the stages of a leg that are not current, with at most as many units in each as
    `concurrency` gives. It is asked once there is something to do.
    Units that are `held` at a stage are not done there: they wait for another pass, and nobody waits for them.

    `stopped` is why the pass ended early: BudgetReached or DamagedResult. `complete` are the stages, from the
    first on, all of whose units are settled.
    """

    def __init__(
        self,
        ledger: Ledger,
        steps: Sequence[tuple[Step, UnitStage]],
        again: Again,
        *,
        runner: UnitRunner,
        concurrency: Callable[[], int],
        progress: Progress,
        passage: Passage | None,
        held: Callable[[str, str], bool] | None = None,
    ) -> None:
        self._held = held
        self._first_held = len(steps)
        self._ledger = ledger
        self._steps = steps
        self._again = again
        self._runner = runner
        self._progress = progress
        self._passage = passage
        self._concurrency = concurrency
        self._places: list[asyncio.Semaphore] = []
        self._closed = [asyncio.Event() for _ in steps]
        self._behind = {step.name: asyncio.Event() for step, _ in steps}
        self._to_pass = [0] * len(steps)
        self._generations: list[int] = []
        self._kept = [0] * len(steps)
        self._open = len(steps)
        self.stopped: BudgetReached | DamagedResult | None = None

    @property
    def complete(self) -> Sequence[Step]:
        return [step for step, _ in self._steps[: self._open]]

    async def behind(self, names: Iterable[str]) -> None:
        """Waits until all units are behind these stages: nothing more comes of them in this pass."""
        for name in names:
            await self._behind[name].wait()

    def is_behind(self, names: Iterable[str]) -> bool:
        """Whether `behind` would not wait."""
        return all(self._behind[name].is_set() for name in names)

    async def run(self, sources: Iterable[Source]) -> None:
        """Where the budget is reached, stages before the one that asked go on: they need no call.

        Raises MissingDependency, StorageError, UsageError at once, and CancelledError.
        """
        first, stage = self._steps[0]
        self._generations = [await self._ledger.begin(step.name) for step, _ in self._steps]
        total = sum(1 for _ in offered(self._ledger, first, stage, sources))
        self._to_pass = [total] * len(self._steps)
        for step, _ in self._steps:
            self._progress.started(step.name, total)
            if self._passage:
                self._passage.begun(step.name)
            if not total:
                self._behind[step.name].set()
        try:
            async with asyncio.TaskGroup() as group:
                for page in pages(self._in_order(sources)):
                    for entry in await self._enter(page):
                        if not self._places:
                            self._make_room()
                        if entry.at < self._open:
                            await self._room.acquire()
                            group.create_task(self._go_through(entry))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self._open = min(self._open, self._first_held)
        self._tell_kept()

    def _make_room(self) -> None:
        concurrency = self._concurrency()
        self._places = [asyncio.Semaphore(concurrency) for _ in self._steps]
        self._room = asyncio.Semaphore(max(_ROOM * concurrency, _LEAST_ROOM))

    def _in_order(self, sources: Iterable[Source]) -> Iterator[Offered]:
        """All units of the first stage. Where some wait for others they come as the sources do, also in a pass that
        begins further on: those that are waited for come soon. What is no unit of it any more is behind all stages."""
        first, stage = self._steps[0]
        units = offered(self._ledger, first, stage, sources)
        if stage.over is None or not any(hasattr(each, "ready") for _, each in self._steps):
            yield from units
            return
        left = {unit.id: unit for unit in units}
        for source in sources:
            if source.id in left:
                yield left.pop(source.id)
            elif self._passage:
                for step, _ in self._steps:
                    self._passage.passed(step.name, source.id)
        yield from left.values()

    async def _enter(self, page: Sequence[Offered]) -> list[_Entry]:
        """Takes units in: those that have work, in their order; the others are behind the whole leg."""
        entries: dict[str, _Entry] = {}
        for at, (step, stage) in enumerate(self._steps):
            waiting = [unit for unit in page if unit.id not in entries]
            units = {unit.id: unit for unit in waiting if is_offered(self._ledger, step, stage, unit.id)}
            for unit_id, key in (await self._enrol(at, list(units.values()))).items():
                entries[unit_id] = _Entry(units[unit_id], at, key)
            for unit in waiting:
                if unit.id not in entries:
                    self._pass(at, unit.id)
        return [entries[unit.id] for unit in page if unit.id in entries]

    async def _enrol(self, at: int, units: Sequence[Offered]) -> dict[str, str]:
        """Makes units current at a stage; gives those that are to be done there, with their keys."""
        step, stage = self._steps[at]
        earlier = () if self._again.renew == step.name else step.earlier
        keys = {unit.id: keys_of(self._ledger, step, stage, unit.id, unit.fingerprint, earlier) for unit in units}
        now = [(id, in_force(self._ledger, step, known, retries=self._again.failed)) for id, known in keys.items()]
        self._kept[at] += sum(key != keys[id][0] for id, key in now)
        pending = await self._ledger.enrol(step.name, self._generations[at], now, retry_failed=self._again.failed)
        return {id: key for id, key in now if key in pending}

    async def _go_through(self, entry: _Entry) -> None:
        """Takes a unit through the leg, until the last stage or one that is closed."""
        unit, key = entry.unit, entry.key
        home.set(Home(unit.id))
        try:
            for at in range(entry.at, len(self._steps)):
                step, stage = self._steps[at]
                if self._held and self._held(step.name, unit.id):
                    self._hold(at, unit.id)
                    return
                if at > entry.at:
                    if at >= self._open:
                        return
                    is_unit = is_offered(self._ledger, step, stage, unit.id)
                    key = (await self._enrol(at, [unit])).get(unit.id, "") if is_unit else ""
                status = await self._carry_out(at, unit, key) if key else "no unit"
                if status is None:
                    return
                self._pass(at, unit.id, failed=status == "failed")
        finally:
            self._room.release()

    async def _carry_out(self, at: int, unit: Offered, key: str) -> Status | None:
        """Does a unit at a stage. None where the stage is closed: the unit stays pending."""
        step, stage = self._steps[at]
        if not await self._ready(at, stage, unit.id):
            return None
        async with self._places[at]:
            if at >= self._open:
                return None
            try:
                return await self._runner.run(step, stage, unit.id, key, unit.payload)
            except BudgetReached as error:
                self._stop(at, error)
            except DamagedResult as error:
                self._stop(0, error)
        return None

    async def _ready(self, at: int, stage: UnitStage, unit_id: str) -> bool:
        """Waits for what the unit needs of others, which have its room meanwhile; False where the stage was closed."""
        ready = getattr(stage, "ready", None)
        if ready is None:
            return at < self._open
        tasks = [asyncio.ensure_future(wait) for wait in (ready(unit_id), self._closed[at].wait())]
        try:
            done, _ = await asyncio.wait(tasks, timeout=0, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._room.release()
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await self._room.acquire()
            if tasks[0].done():
                tasks[0].result()
            return at < self._open
        finally:
            for task in tasks:
                task.cancel()

    def _stop(self, at: int, error: BudgetReached | DamagedResult) -> None:
        """Closes the stages from number `at` on. What is in flight there is paid for: it comes in."""
        if at >= self._open:
            return
        if at and self.stopped is None:
            _log.warning("%s: %s: what needs no call is finished first", self._steps[at][0].name, error)
        self._open, self.stopped = at, error
        for closed in self._closed[at:]:
            closed.set()

    def _hold(self, at: int, unit_id: str) -> None:
        self._first_held = min(self._first_held, at)
        if self._passage:
            for step, _ in self._steps[at:]:
                self._passage.passed(step.name, unit_id)

    def _pass(self, at: int, unit_id: str, *, failed: bool = False) -> None:
        name = self._steps[at][0].name
        if failed and isinstance(self._progress, Watcher):
            self._progress.failed(name)
        self._progress.advanced(name)
        if self._passage:
            self._passage.passed(name, unit_id)
        self._to_pass[at] -= 1
        if not self._to_pass[at]:
            self._behind[name].set()

    def _tell_kept(self) -> None:
        for (step, _), kept in zip(self._steps, self._kept, strict=True):
            if kept:
                _log.warning(
                    "%s: %d units of %s are kept as an earlier version made them: --renew %s makes them anew, and all "
                    "that rests on them is asked again", self._ledger.run, kept, step.name, step.name,
                )  # fmt: skip


def pages(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in lists of at most PAGE."""
    iterator = iter(items)
    while page := list(itertools.islice(iterator, PAGE)):
        yield page
