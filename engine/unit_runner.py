"""Does one unit of a unit stage and keeps what became of it."""

from __future__ import annotations

import logging
import traceback

from hardcut.engine.budget import current_stage
from hardcut.engine.ledger import Ledger
from hardcut.engine.plan import Step, leaves_out
from hardcut.engine.pool import urgency
from hardcut.engine.results import Status, settled
from hardcut.engine.stage import Failure, Output, Unit, UnitStage
from hardcut.engine.stopwatch import Stopwatch, current_unit
from hardcut.schemas.base import Record
from hardcut.schemas.errors import (
    BudgetReached,
    DamagedInput,
    DropItem,
    ItemError,
    MissingDependency,
    StorageError,
    UsageError,
)
from hardcut.schemas.records import Dropped

_log = logging.getLogger(__name__)
_STOPS = (BudgetReached, MissingDependency, StorageError, UsageError)
"""Errors that end the run instead of failing the unit, which stays pending."""


class UnitRunner:
    """Does units with the results kept in `ledger`. A fault of one unit never costs the others."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._logged: set[tuple[str, type[Exception]]] = set()

    async def run(self, step: Step, stage: UnitStage, unit_id: str, key: str, payload: object) -> Status:
        """Does an enrolled unit, settles it, and says how it ended. To be called in a task of its own: it sets what the
        unit's calls are booked under and how urgent its work in processes is. A unit that is further on its way goes
        first, so that little is begun and not ended.

        Raises BudgetReached, MissingDependency, StorageError, UsageError; then the unit stays pending.
        """
        current_stage.set(step.name)
        urgency.set(step.position)
        watch = Stopwatch()
        token = current_unit.set(watch)
        try:
            try:
                output = await _run_stage(stage, Unit(unit_id, self._records(step, stage, unit_id), payload))
            except DropItem as drop:
                dropped = Dropped.create(item=unit_id, stage=step.name, reason=drop.reason, detail=drop.detail)
                output = Output(drop=dropped)
            except ItemError as error:
                output = Output(failure=Failure(error.reason, error.detail, error.raw))
            result = settled(key, output, stage.makes, watch.seconds, about=unit_id)
        except _STOPS:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of one unit must not cost the others
            result = settled(key, Output(failure=self._internal(step.name, unit_id, error)), (), watch.seconds)
        finally:
            current_unit.reset(token)
        await self._ledger.settle(step.name, result)
        return result.status

    def _records(self, step: Step, stage: UnitStage, unit_id: str) -> tuple[Record, ...]:
        return tuple(
            kind.model_validate_json(body)
            for kind in stage.reads
            for body in self._ledger.bodies(kind.__name__, unit_id, step.position, leaves_out(stage).get(kind))
        )

    def _internal(self, stage: str, unit_id: str, error: Exception) -> Failure:
        """An error that nobody foresaw. The log has the first of its type in each stage, the ledger all."""
        if (stage, type(error)) not in self._logged:
            self._logged.add((stage, type(error)))
            _log.error(
                "stage %s failed on unit %r in a way that is a fault of the program", stage, unit_id, exc_info=error
            )
        raw = "".join(traceback.format_exception(error))
        return Failure("internal", f"{type(error).__name__}: {error}", raw)


async def _run_stage(stage: UnitStage, unit: Unit) -> Output:
    """Once more where what it read turned out to be damaged: that is out of the way now."""
    try:
        return await stage.run(unit)
    except DamagedInput as damage:
        _log.warning("stage %s, unit %r: %s: it is done once more", stage.name, unit.id, damage.detail)
        return await stage.run(unit)
