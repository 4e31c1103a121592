"""What a report needs to know of a run beyond its files: plain values that the caller takes from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StageStatus:
    """The units of one stage, what became of them, and the records it made by file (`queries`, not `queries.jsonl`)."""

    name: str
    units: int
    done: int
    dropped: int
    failed: int
    records: Mapping[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Units that nothing has become of yet."""
        return self.units - self.done - self.dropped - self.failed


@dataclass(frozen=True, slots=True)
class FailedItem:
    """One unit that failed, and what the outside world said, word for word."""

    stage: str
    unit: str
    reason: str
    detail: str
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class SlowItem:
    """One unit that took long."""

    stage: str
    unit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run as its ledger knows it: stages in order, failed units, the slowest units first, and what was spent by name
    (`calls`, `prompt tokens`, ...)."""

    stages: tuple[StageStatus, ...]
    failed: tuple[FailedItem, ...] = ()
    slow: tuple[SlowItem, ...] = ()
    spent: Mapping[str, int] = field(default_factory=dict)
