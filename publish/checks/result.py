"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

SHOWN = 5


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found. `value` and `limit` are in the check's own unit; `examples` are a few of `count` findings.

    `state`: passed; failed; allowed (failed, and overridden by name); not_run (`told` says why).
    """

    name: str
    state: Literal["passed", "failed", "allowed", "not_run"]
    told: str
    advice: str = ""
    count: int = 0
    examples: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None

    @property
    def stops(self) -> bool:
        """Whether the dataset may not be published as it is."""
        return self.state in ("failed", "not_run")


@dataclass(slots=True)
class Findings:
    """Collects findings: counts all, keeps a few."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Counts one finding."""
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)

    def extend(self, examples: Iterable[str]) -> None:
        """Counts several."""
        for example in examples:
            self.add(example)


def by_count(name: str, found: Findings, clean: str, wrong: str, advice: str) -> CheckResult:
    """Passed where nothing was found. `wrong` has a place for the count."""
    if found.count == 0:
        return CheckResult(name, "passed", clean, limit=0, value=0)
    told = wrong.format(count=f"{found.count:,}")
    return CheckResult(name, "failed", told, advice, found.count, tuple(found.examples), float(found.count), 0)


def by_limit(
    name: str, value: float, limit: float, told: str, advice: str, found: Findings | None = None, digits: int = 3
) -> CheckResult:
    """Passed where the value is at most the limit."""
    value = round(value, digits)
    if value <= limit:
        return CheckResult(name, "passed", told, value=value, limit=limit)
    found = found or Findings()
    return CheckResult(name, "failed", told, advice, found.count, tuple(found.examples), value, limit)
