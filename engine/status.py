"""How a run stands, read from its ledger. Needs no lock and never holds up a running engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hardcut.engine.ledger import LAYOUT, LEDGER_FILE
from hardcut.schemas.errors import StorageError, UsageError

_CURRENT = "unit u JOIN stage s ON s.name = u.stage AND s.generation = u.generation"


@dataclass(frozen=True, slots=True)
class Spend:
    """What a stage spent on a teacher, over all starts and settings of the run."""

    stage: str
    teacher: str
    calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Counts of a stage's current units: `units_in` = done + dropped + failed + pending, and no other.

    `finished` tells that all are settled and that the files show them. Before that `units_in` may still grow, and a
    collection stage has no units. `records` counts by kind, `seconds` is the sum over the units.
    """

    name: str
    finished: bool
    units_in: int = 0
    done: int = 0
    dropped: int = 0
    failed: int = 0
    pending: int = 0
    seconds: float = 0.0
    records: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FailedUnit:
    """A unit that failed, why, and the message of the outside world that caused it."""

    stage: str
    unit: str
    reason: str
    detail: str
    raw: str | None


@dataclass(frozen=True, slots=True)
class SlowUnit:
    """A unit that took long."""

    stage: str
    unit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A whole run. `failed` and `slowest` are limited; `failed_more` and `slowest_more` count what they leave out."""

    stages: tuple[StageStatus, ...]
    spend: tuple[Spend, ...]
    failed: tuple[FailedUnit, ...]
    failed_more: int
    slowest: tuple[SlowUnit, ...]
    slowest_more: int

    @property
    def finished(self) -> bool:
        """Whether every stage is."""
        return all(stage.finished for stage in self.stages)


def read_status(run: Path, limit: int = 20) -> RunStatus:
    """The status of the run in folder `run`, of one instant. Lists hold at most `limit` items.

    Raises UsageError where there is no run or a newer Hardcut wrote it, StorageError where its ledger cannot be read.
    """
    path = run / LEDGER_FILE
    if not path.is_file():
        raise UsageError(f"{run}: no run is here ({LEDGER_FILE} is missing): give the folder that --out named")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as ledger:
            ledger.execute("BEGIN")  # one snapshot for all that is read
            layout = ledger.execute("PRAGMA user_version").fetchone()[0]
            if layout == 0:  # a run that is being made this moment
                return RunStatus((), (), (), 0, (), 0)
            if layout != LAYOUT:
                raise UsageError(f"{path}: layout {layout}, this Hardcut knows {LAYOUT}: upgrade it")
            return _read(ledger, limit)
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path}: cannot read it ({error}): restore it from a copy or start a new run") from error


def _read(ledger: sqlite3.Connection, limit: int) -> RunStatus:
    counts: dict[tuple[str, str], tuple[int, float]] = {
        (stage, status): (count, seconds or 0.0)
        for stage, status, count, seconds in ledger.execute(
            f"SELECT u.stage, u.status, count(*), sum(u.seconds) FROM {_CURRENT} GROUP BY u.stage, u.status"
        )
    }
    records: dict[str, dict[str, int]] = {}
    for stage, kind, count in ledger.execute(
        f"SELECT u.stage, r.kind, count(*) FROM {_CURRENT} JOIN record r ON r.unit = u.id "
        "GROUP BY u.stage, r.kind ORDER BY u.stage, r.kind"
    ):
        records.setdefault(stage, {})[kind] = count
    stages = tuple(
        _stage(name, phase == "finished", counts, records.get(name, {}))
        for name, phase in ledger.execute("SELECT name, phase FROM stage ORDER BY position, name")
    )
    failed = tuple(
        FailedUnit(*row)
        for row in ledger.execute(
            f"SELECT u.stage, u.unit, u.reason, u.detail, u.raw FROM {_CURRENT} WHERE u.status = 'failed' "
            "ORDER BY s.position, u.unit LIMIT ?",
            (limit,),
        )
    )
    slowest = tuple(
        SlowUnit(*row)
        for row in ledger.execute(
            f"SELECT u.stage, u.unit, u.seconds FROM {_CURRENT} WHERE u.seconds > 0 "
            "ORDER BY u.seconds DESC, s.position, u.unit LIMIT ?",
            (limit,),
        )
    )
    timed = ledger.execute(f"SELECT count(*) FROM {_CURRENT} WHERE u.seconds > 0").fetchone()[0]
    spend = tuple(Spend(*row) for row in ledger.execute("SELECT * FROM spend ORDER BY stage, teacher"))
    all_failed = sum(stage.failed for stage in stages)
    return RunStatus(stages, spend, failed, all_failed - len(failed), slowest, timed - len(slowest))


def _stage(
    name: str, finished: bool, counts: Mapping[tuple[str, str], tuple[int, float]], records: Mapping[str, int]
) -> StageStatus:
    done, dropped, failed, pending = (
        counts.get((name, status), (0, 0.0)) for status in ("done", "dropped", "failed", "pending")
    )
    return StageStatus(
        name,
        finished,
        units_in=done[0] + dropped[0] + failed[0] + pending[0],
        done=done[0],
        dropped=dropped[0],
        failed=failed[0],
        pending=pending[0],
        seconds=round(done[1] + dropped[1] + failed[1], 3),
        records=records,
    )
