"""What is counted of the calls of a run that do not exist yet, and what is taken for them where nothing is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from hardcut.schemas.teachers import TeacherSettings
from hardcut.teacher.protocol import Task

ENOUGH = 5
"""Videos, or queries, that something must be known of before it is learned from them."""

Guess = Literal["least", "usual", "most"]
"""What is taken for what nothing was learned of."""


@dataclass(frozen=True, slots=True)
class Usual:
    """Shares of what the settings allow, as runs had them that were measured (`benchmarks/results/planned.json`)."""

    views: float = 0.8
    """Of views, where it is not known whether a video has anything for them."""
    kept: float = 0.9
    """Of queries."""
    variants: float = 0.5
    """Of a query's variants: those that come before a judge."""
    pairs: float = 0.7
    """Of candidates of a query."""


USUAL = Usual()


class Kind(NamedTuple):
    """What is asked by whom: the questions of a kind are about as long as each other."""

    stage: str
    teacher: TeacherSettings
    task: Task
    shown: bool


@dataclass(slots=True)
class Amount:
    """Calls, the frames that they show, and how many of them are about each video, where that is known."""

    calls: float = 0.0
    pictures: float = 0.0
    about: Counter[str] = field(default_factory=Counter)
