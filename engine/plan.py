"""The order of stages, and which of them reads from which. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hardcut.engine.stage import CollectionStage, Earlier, Stage
from hardcut.schemas.base import Record
from hardcut.schemas.errors import UsageError
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Dropped


class Former(NamedTuple):
    """An earlier version of a stage: a digest of all that it was, and what it read if that was something else."""

    config: str
    reads: tuple[type[Record], ...] | None


@dataclass(frozen=True, slots=True)
class Step:
    """A stage at its place in the run.

    `units` is its `over`, empty for a collection stage; `reads_from` are the names of the earlier stages whose units or
    records it reads; `config` is a digest of all that it is by itself: name, version, settings and what it reads.
    `earlier` are those of its earlier versions whose results are kept.
    """

    stage: Stage
    position: int
    units: str | type[Record] | None
    reads_from: tuple[str, ...]
    config: str
    earlier: tuple[Former, ...] = ()

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def files(self) -> dict[str, str]:
        """The kinds of record that the stage makes with their files."""
        kinds: tuple[type[Record], ...] = (*self.stage.makes, Dropped)
        return {kind.__name__: kind.FILE for kind in kinds}


def plan(stages: Sequence[Stage]) -> list[Step]:
    """The steps of a run. Raises ValueError where the stages do not fit together."""
    steps: list[Step] = []
    for position, stage in enumerate(stages):
        units = stage.over if stage.kind == "unit" else ""
        kinds = {*stage.reads, units} if isinstance(units, type) else set(stage.reads)
        reads_from = tuple(
            earlier.name
            for earlier in steps
            if earlier.name == units or kinds.intersection((*earlier.stage.makes, Dropped))
        )
        if any(earlier.name == stage.name for earlier in steps):
            raise ValueError(f"two stages are named {stage.name}")
        if isinstance(units, str) and units and units not in reads_from:
            raise ValueError(f"stage {stage.name} is over {units}, which is no stage before it")
        steps.append(Step(stage, position, units, reads_from, _config(stage, units), _earlier(stage, units)))
    return steps


def legs(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps in groups. Unit stages that follow each other and have the same units, or units that passed one of
    them, are a leg: a unit goes through it in one go. A collection stage stands alone."""
    found: list[list[Step]] = []
    for step in steps:
        leg = found[-1] if found else []
        same = leg and step.units and (step.units == leg[0].units or step.units in {each.name for each in leg})
        if same and leg[0].stage.kind == step.stage.kind == "unit":
            leg.append(step)
        else:
            found.append([step])
    return found


def step_behind(stage: CollectionStage, before: Mapping[str, Collection[str]]) -> Step:
    """The step of a collection stage behind others that are known by their names and the kinds that they make alone:
    the one that `plan` makes of it."""
    kinds = {kind.__name__ for kind in stage.reads}
    return Step(stage, len(before), "", tuple(name for name in before if kinds & set(before[name])), _config(stage, ""))


def _config(stage: Stage, units: str | type[Record] | None, was: Earlier | None = None) -> str:
    over = units.__name__ if isinstance(units, type) else units
    it = was or stage
    reads = stage.reads if it.reads is None else it.reads
    return digest(stage.name, it.version, dict(it.settings), over, [kind.__name__ for kind in reads])


def _earlier(stage: Stage, units: str | type[Record] | None) -> tuple[Former, ...]:
    versions: Sequence[Earlier] = getattr(stage, "earlier", ())
    return tuple(Former(_config(stage, units, each), each.reads) for each in versions)


def leaves_out(stage: Stage) -> Mapping[type[Record], tuple[str, str]]:
    """The records that the units of a stage do not get: by kind, a field and its value."""
    found: Mapping[type[Record], tuple[str, str]] = getattr(stage, "without", {})
    return found


def up_to(steps: Sequence[Step], until: str | None) -> Sequence[Step]:
    """The steps up to and with the stage named `until`, all for `None`. Raises UsageError for another name."""
    names = [step.name for step in steps]
    if until is None:
        return steps
    if until not in names:
        raise UsageError(f"no stage is named {until!r}: there are {', '.join(names)}")
    return steps[: names.index(until) + 1]
