"""Shows progress: bars on a terminal or in a notebook's cell, a line every minute in a log."""

from __future__ import annotations

import io
import sys
import threading
import time
import uuid
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

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

_CELL_S = 0.5
"""A cell is drawn anew at most this often, in seconds: each drawing is a message that the notebook keeps."""
_CELL_WIDTH = 100
"""Columns of the bars in a cell."""
_LINE_S = 60.0
"""A log gets a line this often, in seconds."""


class TerminalProgress:
    """One bar for each stage that has something to do; the engine's Progress. Draws on a terminal only."""

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


class NotebookProgress(TerminalProgress):
    """The same bars in the output of a notebook's cell. They are redrawn in place.

    rich draws in notebooks by itself only where ipywidgets is installed. This needs what every notebook has, IPython,
    and what it draws last stays in the saved notebook.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()  # collection stages tell of themselves from their own thread
        self._place = f"hardcut-{uuid.uuid4()}"
        self._drawn_s = 0.0
        self._is_there = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._is_there:
            self._draw()

    def started(self, stage: str, total: int | None) -> None:
        super().started(stage, total)
        self._draw_now_and_then()

    def advanced(self, stage: str) -> None:
        super().advanced(stage)
        self._draw_now_and_then()

    def finished(self, stage: str) -> None:
        super().finished(stage)
        self._draw_now_and_then()

    def _draw_now_and_then(self) -> None:
        if self._bars.tasks and time.monotonic() - self._drawn_s >= _CELL_S:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import display

        with self._lock:
            display(  # type: ignore[no-untyped-call,unused-ignore]
                self._picture(), raw=True, display_id=self._place, update=self._is_there
            )
            self._is_there, self._drawn_s = True, time.monotonic()

    def _picture(self) -> dict[str, Any]:
        """The bars as HTML and as text, for a notebook to choose from."""
        console = Console(record=True, file=io.StringIO(), width=_CELL_WIDTH, force_jupyter=False)
        console.print(self._bars.get_renderable())
        html = console.export_html(inline_styles=True, code_format="<pre>{code}</pre>", clear=False)
        return {"text/html": html, "text/plain": console.export_text()}


class LogProgress(TerminalProgress):
    """A line on stderr every minute, for a log. Work of less than a minute writes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._told_s = time.monotonic()

    def advanced(self, stage: str) -> None:
        super().advanced(stage)
        with self._lock:
            if time.monotonic() - self._told_s < _LINE_S:
                return
            self._told_s = time.monotonic()
        print(self._line(stage), file=sys.stderr, flush=True)

    def _line(self, stage: str) -> str:
        task = next(task for task in self._bars.tasks if task.id == self._tasks[stage])
        of = "" if task.total is None else f" of {task.total:.0f}"
        left = "" if task.time_remaining is None else f", {timedelta(seconds=int(task.time_remaining))} left"
        return f"{stage}: {task.completed:.0f}{of}{left}"


def open_progress() -> TerminalProgress:
    """The progress for this process's output: bars in a notebook's cell or on a terminal, else lines."""
    if Console().is_jupyter:
        return NotebookProgress()
    return TerminalProgress() if Console(stderr=True).is_terminal else LogProgress()
