"""Shows progress: bars on a terminal or in a notebook's cell, a line now and then in a log."""

from __future__ import annotations

import io
import sys
import threading
import time
import uuid
from collections import Counter
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from hardcut.engine.activity import Activity, Reading

_CELL_S = 0.5
"""A cell is drawn anew at most this often, in seconds: each drawing is a message that the notebook keeps."""
_CELL_WIDTH = 100
"""Columns of the bars in a cell."""
_LINE_S = 10.0
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
        self._failed: Counter[str] = Counter()
        self._asked: tuple[Activity, int] | None = None
        self._first: Reading | None = None

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

    def failed(self, stage: str) -> None:
        self._failed[stage] += 1

    def advanced(self, stage: str) -> None:
        self._bars.advance(self._tasks[stage])

    def asking(self, activity: Activity, most: int) -> None:
        self._asked, self._first = (activity, most), activity.read()

    @property
    def teachers(self) -> str:
        """What the teachers took in this start, over all of its time; empty where none was asked."""
        if self._asked is None or self._first is None:
            return ""
        activity, most = self._asked
        return spoken(self._first, activity.read(), most)

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
    """A line on stderr every 10 seconds, for a log. Work of less than that writes nothing.

    probe 812/1000 · evidence 640/1000 · captions 410/1000, 1.2/s, 0:08:11 left · 3 failed · 1,203 calls, 512
    tokens/s, 7.8 of 8 in flight
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._told_s = time.monotonic()
        self._read: Reading | None = None

    def advanced(self, stage: str) -> None:
        super().advanced(stage)
        with self._lock:
            if time.monotonic() - self._told_s < _LINE_S:
                return
            self._told_s = time.monotonic()
            line = self._line()
        print(line, file=sys.stderr, flush=True)

    def _line(self) -> str:
        """The stages that are under way; of the last one, which is the furthest behind, how fast it is."""
        tasks = [task for task in self._bars.tasks if task.id in self._tasks.values()]
        parts = [f"{task.description} {_count(task)}" for task in tasks]
        if tasks:
            parts[-1] += _speed(tasks[-1])
        if failed := sum(self._failed.values()):
            parts.append(f"{failed} failed")
        if self._asked:
            activity, most = self._asked
            before, self._read = self._read or self._first, activity.read()
            assert before
            parts.append(spoken(before, self._read, most))
        return " · ".join(part for part in parts if part)


def _count(task: Task) -> str:
    return f"{task.completed:.0f}" + ("" if task.total is None else f"/{task.total:.0f}")


def _speed(task: Task) -> str:
    """Since the stage began. rich's own speed is that of the last units, which is absurd where several end at once."""
    if not task.completed or not task.elapsed:
        return ""
    rate = task.completed / task.elapsed
    left = "" if task.total is None else f", {timedelta(seconds=int((task.total - task.completed) / rate))} left"
    return f", {rate:.1f}/s{left}"


def spoken(before: Reading, now: Reading, most: int) -> str:
    """What the teachers did between two readings, in words; empty where they did nothing. `most` calls may be in flight
    at once, 0 where that is not known."""
    seconds = now.at_s - before.at_s
    if not now.calls or seconds <= 0:
        return ""
    written = (now.completion_tokens - before.completion_tokens) / seconds
    in_flight = (now.in_flight_s - before.in_flight_s) / seconds
    return f"{now.calls:,} calls, {written:,.0f} tokens/s, {in_flight:.1f}{f' of {most}' if most else ''} in flight"


def open_progress() -> TerminalProgress:
    """The progress for this process's output: bars in a notebook's cell or on a terminal, else lines."""
    if Console().is_jupyter:
        return NotebookProgress()
    return TerminalProgress() if Console(stderr=True).is_terminal else LogProgress()
