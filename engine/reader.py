"""How a collection stage reads the records of a run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, TypeVar

from hardcut.engine.ledger import PAGE, Ledger
from hardcut.engine.plan import Step
from hardcut.schemas.base import Record

R = TypeVar("R", bound=Record)


class LedgerReader:
    """What a collection stage sees of the run. Its own connection, since the stage runs in a thread."""

    def __init__(self, ledger: Ledger, step: Step, stop: threading.Event) -> None:
        self._ledger = ledger
        self._step = step
        self._stop = stop
        self._connection = ledger.database.connect_reader()

    def all(self, kind: type[R]) -> Iterator[R]:
        last = ""
        while page := self._select(kind, f"id > ? ORDER BY id LIMIT {PAGE}", last):
            for row in page:
                yield kind.model_validate_json(self._ledger.sound(row))
                last = row["id"]

    def get(self, kind: type[R], id: str) -> R | None:
        found = self._select(kind, "id = ?", id)
        return kind.model_validate_json(self._ledger.sound(found[0])) if found else None

    def about(self, kind: type[R], subject: str) -> list[R]:
        rows = self._select(kind, "about = ? ORDER BY id", subject)
        return [kind.model_validate_json(self._ledger.sound(row)) for row in rows]

    def _select(self, kind: type[Record], condition: str, value: str) -> list[Any]:
        self.check()
        if kind not in self._step.stage.reads:
            raise ValueError(f"stage {self._step.name} does not say that it reads {kind.__name__}")
        sql = (
            "SELECT id, body, digest, stage, unit FROM current_record "
            f"WHERE kind = ? AND position < ? AND phase = 'finished' AND {condition}"
        )
        with self._ledger.database.errors():
            return self._connection.execute(sql, (kind.__name__, self._step.position, value)).fetchall()

    def check(self) -> None:
        """Ends the thread's work where the run was cancelled."""
        if self._stop.is_set():
            raise InterruptedError(f"stage {self._step.name} was interrupted")

    def close(self) -> None:
        self._connection.close()
