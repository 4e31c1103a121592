"""What the engine reports while a run is under way. The command line shows it on a terminal."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hardcut.engine.activity import Activity


class Progress(Protocol):
    """Called from the event loop and, for collection stages, from their thread."""

    def started(self, stage: str, total: int | None) -> None:
        """A stage begins; `total` is the number of units of its leg, `None` where only the end shows it."""

    def advanced(self, stage: str) -> None:
        """One more unit is behind the stage: done, dropped, failed, or no unit of it."""

    def finished(self, stage: str) -> None:
        """The stage is finished and its files are written. Also called for a stage that had nothing to do."""


@runtime_checkable
class Watcher(Protocol):
    """What a progress may be told besides."""

    def failed(self, stage: str) -> None:
        """The unit that is behind the stage failed there."""

    def asking(self, activity: Activity, most: int) -> None:
        """What the teachers do; at most so many calls are in flight at once, 0 where that is not known."""


class Several:
    """Tells several of what happens."""

    def __init__(self, *told: Progress) -> None:
        self._told = told
        self._watchers = [each for each in told if isinstance(each, Watcher)]

    def started(self, stage: str, total: int | None) -> None:
        for each in self._told:
            each.started(stage, total)

    def advanced(self, stage: str) -> None:
        for each in self._told:
            each.advanced(stage)

    def finished(self, stage: str) -> None:
        for each in self._told:
            each.finished(stage)

    def failed(self, stage: str) -> None:
        for each in self._watchers:
            each.failed(stage)

    def asking(self, activity: Activity, most: int) -> None:
        for each in self._watchers:
            each.asking(activity, most)


class NullProgress:
    """Shows nothing."""

    def started(self, stage: str, total: int | None) -> None:
        pass

    def advanced(self, stage: str) -> None:
        pass

    def finished(self, stage: str) -> None:
        pass
