"""Reads the status of a run from its ledger. Needs no lock and never delays a running engine."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from hardcut.engine.checksums import damaged_rows, incomplete_stages, unit_fits
from hardcut.engine.database import connect_to_read
from hardcut.engine.ledger import LEDGER_FILE, Phase
from hardcut.engine.tables import LAYOUT
from hardcut.schemas.errors import StorageError, UsageError

_CURRENT = "stage s CROSS JOIN unit u ON u.stage = s.name AND u.generation = s.generation"  # in this order: by index


@dataclass(frozen=True, slots=True)
class Spend:
    """What a stage spent on a teacher, over all starts and settings of the run. `estimated_...` are tokens that were
    estimated and not counted. `sound_s` are the seconds of sound that were sent to a speech server."""

    stage: str
    teacher: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    estimated_prompt_tokens: int = 0
    estimated_completion_tokens: int = 0
    sound_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Counts of a stage's current units: `units_in` = done + dropped + failed + pending, and no other.

    `finished`: all units are settled and the files show them. Before that, `units_in` may still grow, and a collection
    stage has no units. `records` counts records by kind. `seconds` is the sum over the units.
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
    """A failed unit, the reason, and the message from outside that caused it."""

    stage: str
    unit: str
    reason: str
    detail: str
    raw: str | None


@dataclass(frozen=True, slots=True)
class SlowUnit:
    """A slow unit. Its time in a queue is not counted."""

    stage: str
    unit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A whole run. `failed` and `slowest` are limited; `failed_more` counts the failed units that are left out."""

    stages: tuple[StageStatus, ...]
    spend: tuple[Spend, ...]
    failed: tuple[FailedUnit, ...]
    failed_more: int
    slowest: tuple[SlowUnit, ...]

    @property
    def finished(self) -> bool:
        """Whether every stage is."""
        return all(stage.finished for stage in self.stages)


def read_status(run: Path, limit: int = 20) -> RunStatus:
    """The status of the run in folder `run` at one moment. Lists have at most `limit` items.

    Raises UsageError where there is no run or a newer Hardcut wrote it, StorageError where its ledger cannot be read.
    """
    path = run / LEDGER_FILE
    if not path.is_file():
        raise UsageError(f"{run}: no run is here ({LEDGER_FILE} is missing): give the folder that --out named")
    try:
        with closing(connect_to_read(path)) as ledger:
            ledger.execute("BEGIN")  # one snapshot for all that is read
            layout = LAYOUT.version_of(ledger, path)
            if not layout:  # a run that is being made this moment
                return RunStatus((), (), (), 0, ())
            return _read(ledger, limit, path if layout == LAYOUT.version else None)
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path}: cannot read it ({error}): restore it from a copy or start a new run") from error


def _read(ledger: sqlite3.Connection, limit: int, checked: Path | None) -> RunStatus:
    rows = ledger.execute("SELECT name, generation, phase, records FROM stage ORDER BY position, name").fetchall()
    counts = {name: _counts(ledger, name, generation) for name, generation, _, _ in rows}
    stages = tuple(_stage(ledger, name, phase, json.loads(records), counts[name]) for name, _, phase, records in rows)
    failures = ledger.execute(
        f"SELECT u.id, u.stage, u.unit, u.reason, u.detail, u.raw FROM {_CURRENT} WHERE u.status = 'failed' "
        "ORDER BY s.position, u.unit LIMIT ?",
        (limit,),
    ).fetchall()
    if checked:
        _check(ledger, checked, [row["id"] for row in failures])
    failed = tuple(FailedUnit(*row[1:]) for row in failures)
    slow = [
        SlowUnit(*row)
        for stage in stages
        for status in ("done", "dropped", "failed")
        for row in ledger.execute(  # one query for each, since so the index brings them sorted
            f"SELECT u.stage, u.unit, u.seconds FROM {_CURRENT} WHERE u.stage = ? AND u.status = ? AND u.seconds > 0 "
            "ORDER BY u.seconds DESC LIMIT ?",
            (stage.name, status, limit),
        )
    ]
    slowest = tuple(sorted(slow, key=lambda unit: (-unit.seconds, unit.stage, unit.unit))[:limit])
    spend = tuple(_spend(row) for row in ledger.execute("SELECT * FROM spend ORDER BY stage, teacher"))
    all_failed = sum(stage.failed for stage in stages)
    return RunStatus(stages, spend, failed, all_failed - len(failed), slowest)


def _check(ledger: sqlite3.Connection, path: Path, units: Sequence[int]) -> None:
    """Raises StorageError where what is told of the run, these units included, would not be what it wrote."""
    damaged = any(damaged_rows(ledger, table) for table in ("stage", "spend"))
    if damaged or incomplete_stages(ledger) or not all(unit_fits(ledger, unit) for unit in units):
        raise StorageError(f"{path}: what it holds was damaged: start the run again, which mends it or says what to do")


def _spend(row: sqlite3.Row) -> Spend:
    """A row of the books, of this layout or an older one."""
    return Spend(**{field.name: row[field.name] for field in fields(Spend) if field.name in row.keys()})  # noqa: SIM118


class _Count(NamedTuple):
    """Units of one stage and status: how many, and how long they took together."""

    units: int = 0
    seconds: float = 0.0


def _counts(ledger: sqlite3.Connection, stage: str, generation: int) -> dict[str, _Count]:
    return {
        status: _Count(units, seconds or 0.0)
        for status, units, seconds in ledger.execute(
            "SELECT status, count(*), sum(seconds) FROM unit WHERE stage = ? AND generation = ? GROUP BY status",
            (stage, generation),
        )
    }


def _stage(
    ledger: sqlite3.Connection, name: str, phase: Phase, records: Mapping[str, int], counts: Mapping[str, _Count]
) -> StageStatus:
    if phase not in ("publishing", "finished"):  # nobody has counted them yet
        records = dict(
            ledger.execute(
                f"SELECT r.kind, count(*) FROM {_CURRENT} JOIN record r ON r.unit = u.id WHERE u.stage = ? "
                "GROUP BY r.kind ORDER BY r.kind",
                (name,),
            ).fetchall()
        )
    done, dropped, failed, pending = (
        counts.get(status, _Count()) for status in ("done", "dropped", "failed", "pending")
    )
    return StageStatus(
        name,
        phase == "finished",
        units_in=done.units + dropped.units + failed.units + pending.units,
        done=done.units,
        dropped=dropped.units,
        failed=failed.units,
        pending=pending.units,
        seconds=round(done.seconds + dropped.seconds + failed.seconds, 3),
        records=records,
    )
