"""What a report needs to know of a run beyond its files: the form that the engine's status has, so that nothing of the
engine is imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class StageStatus(Protocol):
    """The units of one stage and what became of them, and how many records it made, by file."""

    @property
    def name(self) -> str: ...
    @property
    def units_in(self) -> int: ...
    @property
    def done(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def records(self) -> Mapping[str, int]: ...


class FailedUnit(Protocol):
    """One unit that failed, and in `raw` what the outside world said, word for word."""

    @property
    def stage(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def raw(self) -> str | None: ...


class SlowUnit(Protocol):
    """One unit that took long."""

    @property
    def stage(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def seconds(self) -> float: ...


class Spend(Protocol):
    """What one stage spent on one teacher."""

    @property
    def stage(self) -> str: ...
    @property
    def teacher(self) -> str: ...
    @property
    def calls(self) -> int: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...


class RunStatus(Protocol):
    """A run as its ledger knows it: stages in order, some of the failed units, the slowest units first."""

    @property
    def stages(self) -> Sequence[StageStatus]: ...
    @property
    def spend(self) -> Sequence[Spend]: ...
    @property
    def failed(self) -> Sequence[FailedUnit]: ...
    @property
    def slowest(self) -> Sequence[SlowUnit]: ...
