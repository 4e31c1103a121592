"""Every error that Hardcut raises on purpose. Each message names the item and says what to do next."""

from __future__ import annotations


class HardcutError(Exception):
    """Base of all our errors. `status` is the exit status of the command that ends with it."""

    status = 1


class UsageError(HardcutError):
    """The command, a settings file or an input file is wrong. The user can correct it."""

    status = 2


class RecordError(UsageError):
    """A line of a JSON Lines file is no valid record. The message names file, line and field."""


class BudgetReached(HardcutError):
    """The budget is spent. The run can be started again with a higher one."""

    status = 3


class MissingDependency(HardcutError):
    """A package, program or server is missing. The message says how to get it."""

    status = 4


class Unreachable(HardcutError):
    """A server does not answer. The message says how to start one."""

    status = 4


class StorageError(HardcutError):
    """Writing failed (no space left, read-only, ...). What was written before is whole."""

    status = 4


class ItemError(HardcutError):
    """One work unit failed; the run goes on without it.

    `reason` is a short stable word for grouping, `detail` a sentence for people. `raw` is the reply or message from
    outside that caused it, word for word.
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
    """An input of a unit was damaged and has been removed. Done again, the unit gets a new one."""


class DropItem(HardcutError):
    """One work unit is left out on purpose, with a reason. This is no failure."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[DropItem], tuple[str, str]]:
        """Pickles by its arguments: worker processes hand it back."""
        return type(self), (self.reason, self.detail)
