"""Carries out a list of stages over a run's folder, leg by leg (`legs.py`).

A stage's key says what it would produce: a digest of its name, version, settings and of the states of the earlier
stages that it reads. A stage is *current* where it finished under its present key and all stages that it reads are
current. Current stages are skipped without looking at a single unit. All others are withdrawn before anything runs:
their records leave the files, and a file without any current stage that makes it is removed. So a file always shows one
set of settings and inputs, also after a kill and behind `until`; and since results are kept under their units' keys,
withdrawing costs no work.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from hardcut.engine import published
from hardcut.engine.budget import current_stage
from hardcut.engine.checksums import DamagedResult
from hardcut.engine.ledger import Ledger
from hardcut.engine.legs import Again, Leg, Passage, pages
from hardcut.engine.plan import Step, legs, plan, step_behind, up_to
from hardcut.engine.progress import NullProgress, Progress
from hardcut.engine.reader import LedgerReader
from hardcut.engine.results import settled
from hardcut.engine.stage import CollectionStage, Source, Stage
from hardcut.engine.unit_runner import UnitRunner
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Engine:
    """Runs stages with the results kept in `ledger` and the files written beside it.

    At most `concurrency` units are in a unit stage at once; how many calls or processes they use is the stages'
    business. A function is asked once a leg has something to do. `passage` is told how units go through the stages.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        concurrency: int | Callable[[], int] = 64,
        progress: Progress | None = None,
        passage: Passage | None = None,
    ) -> None:
        self._ledger = ledger
        self._concurrency = concurrency if callable(concurrency) else lambda: concurrency
        self._progress: Progress = progress or NullProgress()
        self._passage = passage
        self._runner = UnitRunner(ledger)
        self._checked: set[str] = set()
        """Stages whose units were held against their checksums."""

    async def run(
        self,
        stages: Sequence[Stage],
        sources: Iterable[Source] = (),
        *,
        until: str | None = None,
        retry_failed: bool = False,
        renew: str | None = None,
        held: Callable[[str, str], bool] | None = None,
    ) -> None:
        """Runs all stages of the run in order, up to and with the one named `until`.

        `stages` is always the whole list: a stage that is not in it is not part of the run any more. `sources` is
        gone through several times and never kept, in the same order each time. With `retry_failed` units that failed
        in an earlier start run again. Results and counts are in the ledger (`read_status`). What an earlier version of
        a stage made stays in force (`stage.Earlier`); `renew` names the stage that makes it anew. `held` tells of a
        stage and a unit that it is left for a later start; then nothing is begun behind the leg of that stage.

        Raises BudgetReached once the units in flight have ended, and with them all stages before the one that asked;
        MissingDependency, StorageError, UsageError at once;
        CancelledError (Ctrl-C under `asyncio.run`, which makes KeyboardInterrupt of it) after cancelling what is in
        flight. Everything that finished before is kept, and the next call goes on from there.

        What the ledger keeps of a unit and is damaged is found where it is read, told, and done again.
        """
        await self._mending(lambda: self._run(stages, sources, until, Again(retry_failed, renew), held))

    async def _mending(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does the work, from its start again as often as results turn out to be damaged, each at most once."""
        mended: set[tuple[str, str]] = set()
        while True:
            try:
                return await work()
            except DamagedResult as damage:
                found = {(damage.stage, unit) for unit in damage.units or ("",)}
                if found <= mended:
                    raise
                mended |= found
                _log.warning("%s", damage.redo_notice)
                await self._ledger.discard(damage.stage, damage.units)

    async def _run(
        self,
        stages: Sequence[Stage],
        sources: Iterable[Source],
        until: str | None,
        again: Again,
        held: Callable[[str, str], bool] | None,
    ) -> None:
        self._checked.clear()
        steps = plan(stages)
        _renewable(steps, again.renew)
        wanted = up_to(steps, until)
        origin = _digest_of(sources) if any(step.units is None for step in steps) else ""
        await self._ledger.declare([step.name for step in steps])
        current = self._current(steps, origin, again)
        await self._withdraw_others(steps, current)
        if not current.issuperset(step.name for step in wanted):
            self._ledger.verify()
        done: set[str] = set()
        found = legs(wanted)
        for leg, behind in pairwise([*found, []]):
            todo = [step for step in leg if step.name not in current]
            for step in leg:
                if step.name in current:
                    self._progress.started(step.name, 0)
                    self._progress.finished(step.name)
            ahead = next((step for step in behind if step.name not in current and _may_go_ahead(step)), None)
            if todo and not done.issuperset(step.name for step in todo):
                done |= await self._carry_out(todo, origin, sources, again, ahead, held)
                if held and not done.issuperset(step.name for step in todo):
                    return

    async def run_last(self, stage: CollectionStage) -> bool:
        """Carries out the last stage of a run again whose settings changed, without the others and their sources.

        False, and nothing done, where another is the last one or a stage before it is not finished. What it leaves is
        what `run` would leave: the next start finds the stage current.
        """
        return await self._mending(lambda: self._run_last(stage))

    async def _run_last(self, stage: CollectionStage) -> bool:
        self._checked.clear()
        rows = self._ledger.stages()
        before, last = rows[:-1], rows[-1] if rows else None
        if last is None or last.name != stage.name or any(row.phase != "finished" for row in before):
            return False
        step = step_behind(stage, {row.name: row.files for row in before})
        key = self._key(step, "")
        if last.phase == "finished" and last.key == key:
            return True
        self._ledger.verify()
        await self._ledger.withdraw([step.name])
        published.write(self._ledger, step.files)
        await self._ledger.withdrawn([step.name])
        await self._carry_out([step], "", (), Again())
        return True

    # What is current, and what the files show

    def _key(self, step: Step, origin: str) -> str:
        states = {row.name: row.state for row in self._ledger.stages() if row.name in step.reads_from}
        return digest(step.config, states, origin if step.units is None else None)

    def is_current(
        self,
        name: str,
        stages: Sequence[Stage],
        sources: Iterable[Source],
        *,
        retry_failed: bool = False,
        renew: str | None = None,
    ) -> bool:
        """Whether a stage will have nothing to do in a `run` with these arguments."""
        steps = plan(stages)
        known = {row.name for row in self._ledger.stages()}
        if not known.issuperset(step.name for step in steps):
            return False
        return name in self._current(steps, _digest_of(sources), Again(retry_failed, renew))

    def _current(self, steps: Sequence[Step], origin: str, again: Again) -> set[str]:
        known = {row.name: row for row in self._ledger.stages()}
        if gone := self._ledger.incomplete_stages():
            _log.warning("%s: units of %s are gone: they are done again", self._ledger.run, ", ".join(sorted(gone)))
        current: set[str] = set()
        for step in steps:
            row = known[step.name]
            if (
                row.phase == "finished"
                and step.name not in gone
                and current.issuperset(step.reads_from)
                and row.key == self._key(step, origin)
                and not (again.failed and self._ledger.count(step.name, "failed"))
                and step.name != again.renew
            ):
                current.add(step.name)
        return current

    async def _withdraw_others(self, steps: Sequence[Step], current: set[str]) -> None:
        known = self._ledger.stages()
        stale = [row for row in known if row.name not in current and row.files]
        files = {kind: file for row in stale for kind, file in row.files.items()}
        shown = {kind: file for row in known if row.name in current for kind, file in row.files.items()}
        files |= published.altered(self._ledger, {kind: file for kind, file in shown.items() if kind not in files})
        if stale:
            await self._ledger.withdraw(row.name for row in stale)
        published.write(self._ledger, files)
        if stale:
            await self._ledger.withdrawn(row.name for row in stale)
        published.remove_unclaimed(self._ledger)
        if gone := {row.name for row in known} - {step.name for step in steps}:
            await self._ledger.forget(sorted(gone))

    # One leg

    async def _carry_out(
        self,
        steps: Sequence[Step],
        origin: str,
        sources: Iterable[Source],
        again: Again,
        ahead: Step | None = None,
        held: Callable[[str, str], bool] | None = None,
    ) -> set[str]:
        """Carries out the stages of a leg. One that sees the whole collection and comes behind it, `ahead`, is carried
        out as soon as all that it reads is settled, whatever else goes on. Returns the names of the finished ones: not
        those of which units were held."""
        ours = {step.name for step in steps}
        for name in sorted({name for step in steps for name in step.reads_from} - ours):
            self._check(name)
        if (first := steps[0]).stage.kind == "collection":
            key = self._key(first, origin)
            await self._run_collection(first, first.stage, key, again.failed)
            await self._conclude(first)
            return ours
        return await self._run_leg(steps, origin, sources, again, ahead, held)

    async def _run_leg(
        self,
        steps: Sequence[Step],
        origin: str,
        sources: Iterable[Source],
        again: Again,
        ahead: Step | None,
        held: Callable[[str, str], bool] | None,
    ) -> set[str]:
        units = [(step, step.stage) for step in steps if step.stage.kind == "unit"]
        leg = Leg(
            self._ledger,
            units,
            again,
            runner=self._runner,
            concurrency=self._concurrency,
            progress=self._progress,
            passage=self._passage,
            held=held,
        )
        finished: set[str] = set()
        one_by_one = asyncio.Lock()

        async def conclude(step: Step) -> None:
            async with one_by_one:  # a stage's key needs those before it
                if step.name not in finished:
                    await self._ledger.enumerated(step.name, self._key(step, origin))
                    await self._conclude(step)
                    finished.add(step.name)

        async def go_ahead(step: Step, needed: Sequence[Step]) -> None:
            await leg.behind(each.name for each in needed)
            for each in needed:
                await conclude(each)
            finished.update(await self._carry_out([step], origin, (), again))

        needed = [step for step in steps if ahead and step.name in ahead.reads_from]
        beside = None
        if ahead and steps[-1] not in needed:
            beside = asyncio.create_task(go_ahead(ahead, needed))
        try:
            await leg.run(sources)
            for step in leg.complete:
                await conclude(step)
            if beside and leg.is_behind(step.name for step in needed):
                await beside
        finally:
            if beside:
                beside.cancel()
                await asyncio.wait([beside])
                if not beside.cancelled():
                    beside.exception()  # raised above, or behind what was
        if leg.stopped:
            raise leg.stopped
        return finished

    async def _conclude(self, step: Step) -> None:
        """All units of the stage are settled: its records go into the files."""
        await self._ledger.publish(step.name, step.files)
        self._checked.add(step.name)
        published.write(self._ledger, step.files)
        await self._ledger.finish(step.name)
        self._progress.finished(step.name)

    def _check(self, name: str) -> None:
        if name not in self._checked:
            self._ledger.check(name)
            self._checked.add(name)

    async def _run_collection(self, step: Step, stage: CollectionStage, key: str, retry_failed: bool) -> None:
        self._progress.started(step.name, None)
        generation = self._ledger.snapshot(step.name, key, with_failed=not retry_failed)
        if generation is None:
            if prepared := getattr(stage, "prepared", None):
                stage = await asyncio.create_task(_at_stage(step.name, prepared()))
            generation = await self._ledger.begin_snapshot(step.name, key)
            stop = threading.Event()
            work = asyncio.create_task(asyncio.to_thread(self._collect, step, stage, key, generation, stop))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                stop.set()
                await asyncio.wait([work])
                work.exception()  # that it was interrupted is no news
                raise
        await self._ledger.keep_snapshot(step.name, key, generation)

    def _collect(self, step: Step, stage: CollectionStage, key: str, generation: int, stop: threading.Event) -> None:
        """In a thread: writes all output of the stage under a generation that is not yet the stage's."""
        reader = LedgerReader(self._ledger, step, stop)
        try:
            for page in pages(stage.run(reader)):
                results = [settled(digest(key, unit_id), output, stage.makes) for unit_id, output in page]
                units = [(unit_id, result.key) for (unit_id, _), result in zip(page, results, strict=True)]
                self._ledger.put(step.name, generation, units, results)
                for _ in page:
                    self._progress.advanced(step.name)
                reader.check()
        finally:
            reader.close()


def _may_go_ahead(step: Step) -> bool:
    """Whether a stage can be carried out while the leg before it goes on. One that asks teachers keeps its turn."""
    return step.stage.kind == "collection" and not hasattr(step.stage, "prepared")


async def _at_stage(name: str, work: Awaitable[CollectionStage]) -> CollectionStage:
    """What is asked of teachers meanwhile is booked as this stage's."""
    current_stage.set(name)
    return await work


def _renewable(steps: Sequence[Step], name: str | None) -> None:
    if name is not None and name not in (names := [step.name for step in steps if step.earlier]):
        raise UsageError(f"nothing of {name!r} can be renewed: only {', '.join(names) or 'no stage'} keeps results")


def _digest_of(sources: Iterable[Source]) -> str:
    total = hashlib.sha256()
    for source in sources:
        text = f"{len(source.id)} {source.id} {len(source.fingerprint)} {source.fingerprint} "
        total.update(text.encode("utf-8", "surrogatepass"))
    return total.hexdigest()
