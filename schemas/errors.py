"""Every error that Hardcut raises on purpose. Each message names the item and says what to do next."""

from __future__ import annotations


class HardcutError(Exception):
    """Base of all our errors. `status` is the exit status of the command that ends with it."""

    status = 1


class UsageError(HardcutError):
    """The command, a settings file or an input file is wrong: the user can mend it."""

    status = 2


class RecordError(UsageError):
    """A line of a JSON Lines file is not the record it should be; the message names file, line and field."""


class BudgetReached(HardcutError):
    """The budget is spent. The run can be started again with a higher one."""

    status = 3


class MissingDependency(HardcutError):
    """A package, program or server is needed and not there; the message says how to get it."""

    status = 4


class Unreachable(HardcutError):
    """A server is needed and does not answer; the message says how to start one."""

    status = 4


class StorageError(HardcutError):
    """Writing failed (no space left, read-only, ...). What was written before is whole."""

    status = 4


class ItemError(HardcutError):
    """One work unit failed; the run goes on without it.

    `reason` is a short stable word for grouping, `detail` a sentence for people, `raw` the reply or
    message of the outside world that caused it, kept word for word.
    """

    def __init__(self, reason: str, detail: str, raw: str | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.raw = raw

    def __reduce__(self) -> tuple[type[ItemError], tuple[str, str, str | None]]:
        """Pickles by its arguments: worker processes hand it back."""
        return type(self), (self.reason, self.detail, self.raw)


class DamagedInput(ItemError):
    """What a unit reads was damaged and is out of the way now: done again, the unit finds it made anew."""


class DropItem(HardcutError):
    """One work unit is left out on purpose, with a reason; it is no failure."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[DropItem], tuple[str, str]]:
        """Pickles by its arguments: worker processes hand it back."""
        return type(self), (self.reason, self.detail)
