"""Which units a unit stage has, and under which key the ledger keeps the result of each."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from hardcut.engine.ledger import Ledger
from hardcut.engine.plan import Former, Step, leaves_out
from hardcut.engine.stage import Source, UnitStage
from hardcut.schemas.base import Record
from hardcut.schemas.ids import digest


class Offered(NamedTuple):
    """A unit that a stage is offered. Only one that enters the run from outside has a fingerprint and a payload."""

    id: str
    fingerprint: str = ""
    payload: object = None


def offered(ledger: Ledger, step: Step, stage: UnitStage, sources: Iterable[Source]) -> Iterator[Offered]:
    """All units of a stage."""
    if stage.over is None:
        return (Offered(source.id, source.fingerprint, source.payload) for source in sources)
    if isinstance(stage.over, str):
        return (Offered(unit_id) for unit_id in ledger.units(stage.over, "done"))
    return (Offered(about) for about in ledger.subjects(stage.over.__name__, step.position))


def is_offered(ledger: Ledger, step: Step, stage: UnitStage, unit_id: str) -> bool:
    """Whether a unit that went through the stages before is a unit of this one."""
    if stage.over is None:
        return True
    if isinstance(stage.over, str):
        return ledger.outcome(stage.over, unit_id) == "done"
    return bool(ledger.digests(stage.over.__name__, unit_id, step.position))


def keys_of(
    ledger: Ledger, step: Step, stage: UnitStage, unit_id: str, fingerprint: str, earlier: Sequence[Former]
) -> list[str]:
    """The present key of a unit, then those of `earlier` versions."""
    fingerprint = fingerprint if stage.over is None else ""
    read = _read(ledger, step, stage, unit_id)
    keys = [digest(step.config, unit_id, fingerprint, read)]
    for each in earlier:
        was = read if each.reads is None else _all_about(ledger, each.reads, unit_id)
        keys.append(digest(each.config, unit_id, fingerprint, was))
    if earlier and leaves_out(stage):  # which an earlier version may not have done
        whole = _read(ledger, step, stage, unit_id, whole=True)
        keys += [digest(each.config, unit_id, fingerprint, whole) for each in earlier]
    return keys


def in_force(ledger: Ledger, step: Step, keys: Sequence[str], *, retries: bool) -> str:
    """The key of a unit's result: the first one of its present key and its earlier ones that the ledger knows. Only
    what is settled is taken over from an earlier version, and no failure where that is to be tried again."""
    present, *earlier = keys
    if not earlier or ledger.status_of(step.name, present) is not None:
        return present
    settled = {"done", "dropped"} if retries else {"done", "dropped", "failed"}
    return next((key for key in earlier if ledger.status_of(step.name, key) in settled), present)


def _read(ledger: Ledger, step: Step, stage: UnitStage, unit_id: str, *, whole: bool = False) -> list[list[Any]]:
    """Ids and digests of what a unit is made of, by kind; `whole`: with what the stage leaves out."""
    left_out = {} if whole else leaves_out(stage)
    return [
        [kind.__name__, *ledger.digests(kind.__name__, unit_id, step.position, left_out.get(kind))]
        for kind in stage.reads
    ]


def _all_about(ledger: Ledger, kinds: Sequence[type[Record]], unit_id: str) -> list[list[Any]]:
    """The same of these kinds, whatever stage makes them now."""
    return [[kind.__name__, *ledger.digests(kind.__name__, unit_id, sys.maxsize)] for kind in kinds]
