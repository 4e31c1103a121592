"""The results of checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hardcut.schemas.dataset_settings import Allowance
from hardcut.schemas.errors import HardcutError

SHOWN = 5
KEPT = 10_000
"""Findings of a check that are kept by name, so that each can be allowed."""
State = Literal["passed", "failed", "unknown", "allowed", "off"]
"""The three answers of a check: nothing found, found, could not look (`unknown`). `allowed`: one of the last two,
all of whose items are allowed by name. `off`: nobody asked it, since the settings of the run switch it off."""


COULD_NOT_LOOK = "could not look: "
"""What a check says begins with it, where it has no answer."""


class CouldNotLook(HardcutError):
    """Something that a check needs is missing. The message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found; `message` says it in words. `value` and `limit` are in the check's own unit. `examples` are
    a few of `count` findings, or of the items that it could not look at, and `items` all of them up to 10,000; a
    measure has none. `allowed`: what of it is let be, and why.

    `cause` of an unknown is `damaged` (a file of the dataset was altered) or `needs` (something is not installed). It
    is empty where rows are missing or too few.
    """

    name: str
    state: State
    message: str
    advice: str = ""
    count: int = 0
    examples: tuple[str, ...] = ()
    value: float | None = None
    limit: float | None = None
    cause: Literal["", "damaged", "needs"] = ""
    items: tuple[str, ...] = ()
    allowed: tuple[Allowance, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` prints it. There the message is called `told`."""
        told = {"told" if name == "message" else name: value for name, value in asdict(self).items()}
        return {**told, "allowed": [one.model_dump() for one in self.allowed]}

    @property
    def stops(self) -> bool:
        """Whether the dataset may not be published as it is."""
        return self.state in ("failed", "unknown")


@dataclass(slots=True)
class Findings:
    """Collects findings: counts all, keeps up to 10,000."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Counts one finding."""
        self.count += 1
        if len(self.examples) < KEPT:
            self.examples.append(example)

    def extend(self, examples: Iterable[str]) -> None:
        """Counts several."""
        for example in examples:
            self.add(example)


def by_count(name: str, found: Findings, clean: str, wrong: str, advice: str) -> CheckResult:
    """Passed where nothing was found. `wrong` has a place for the count."""
    if found.count == 0:
        return CheckResult(name, "passed", clean, limit=0, value=0)
    message = wrong.format(count=f"{found.count:,}")
    items = tuple(found.examples)
    return CheckResult(name, "failed", message, advice, found.count, items[:SHOWN], float(found.count), 0, items=items)


def by_limit(
    name: str, value: float, limit: float, message: str, advice: str, found: Findings | None = None, digits: int = 3
) -> CheckResult:
    """Passed where the value is at most the limit."""
    value = round(value, digits)
    if value <= limit:
        return CheckResult(name, "passed", message, value=value, limit=limit)
    found = found or Findings()
    return CheckResult(name, "failed", message, advice, found.count, tuple(found.examples[:SHOWN]), value, limit)


def could_not_look(
    name: str,
    why: str,
    advice: str = "",
    count: int = 0,
    items: Sequence[str] = (),
    cause: Literal["", "damaged", "needs"] = "",
) -> CheckResult:
    """The check has no answer. `count` items were not looked at, `items` are some of them."""
    kept = tuple(items[:KEPT])
    return CheckResult(name, "unknown", f"{COULD_NOT_LOOK}{why}", advice, count, kept[:SHOWN], cause=cause, items=kept)
