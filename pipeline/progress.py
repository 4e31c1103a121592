"""Progress on a terminal: bars on stderr, nothing at all in a pipe."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class TerminalProgress:
    """One bar for each stage that has something to do; the engine's Progress. In a pipe it draws nothing."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def started(self, stage: str, total: int | None) -> None:
        if total != 0:
            self._tasks[stage] = self._bars.add_task(stage, total=total)

    def advanced(self, stage: str) -> None:
        self._bars.advance(self._tasks[stage])

    def finished(self, stage: str) -> None:
        if stage in self._tasks:
            task = self._tasks.pop(stage)
            done = self._bars.tasks[task].completed
            self._bars.update(task, total=done)
