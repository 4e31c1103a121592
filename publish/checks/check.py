"""A check of the gate: a named function that declares what it reads and has three answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hardcut.publish.checks.result import CheckResult, CouldNotLook, could_not_look
from hardcut.publish.dataset import DamagedDataset, Dataset, Row
from hardcut.schemas.errors import HardcutError, MissingDependency
from hardcut.schemas.settings import Settings

Ask = Callable[[Dataset, Settings], CheckResult]
Columns = Mapping[str, tuple[str, ...]]
"""Columns by config."""
_EXPORT = "export the run again; where it stays, look with `hardcut status` at what failed"


@dataclass(frozen=True)
class DatasetView(Dataset):
    """The part of a dataset that a check declares to read. `seen` counts the rows that it got, by config."""

    reads: Columns | None = None
    seen: Counter[str] = field(default_factory=Counter)

    def rows(self, config: str, columns: Sequence[str] | None = None) -> Iterator[tuple[str, Row]]:
        """As `Dataset.rows`. Raises ValueError for a config or column that the check does not declare."""
        undeclared = set(columns or [config]) - set((self.reads or {}).get(config, ()))
        if undeclared and self.reads is not None:
            raise ValueError(f"the check does not say that it reads {sorted(undeclared)} of {config}")
        for split_and_row in super().rows(config, columns):
            self.seen[config] += 1
            yield split_and_row


@dataclass(frozen=True)
class Check:
    """A check. `reads`: the columns that it looks at, by config (None, of a check of others: any); `may_be_empty`:
    configs of these without which it has an answer all the same; `marker`: keys of `hardcut.json` that it goes by;
    `looks_for`, `cannot_look`: for people.

    Called, it never raises for what the dataset lacks. Its answer is `unknown` where a file is damaged, a library is
    not installed, or a config that it reads has no row; what a function finds out by itself it says
    (`could_not_look`).
    """

    name: str
    ask: Ask
    reads: Columns | None
    looks_for: str
    cannot_look: str = ""
    may_be_empty: Collection[str] = ()
    marker: Collection[str] = ()

    @classmethod
    def from_entry_point(cls, name: str, check: Check | Ask) -> Check:
        """A check of another package, which may be a plain function. If it raises an error, it could not look."""
        return check if isinstance(check, Check) else cls(name, check, None, looks_for="what others look for")

    def __call__(self, dataset: Dataset, settings: Settings) -> CheckResult:
        view = DatasetView(dataset.folder, self.reads)
        try:
            result = self.ask(view, settings)
        except DamagedDataset as error:
            return could_not_look(self.name, str(error), _EXPORT, cause="damaged")
        except CouldNotLook as error:
            return could_not_look(self.name, str(error), _EXPORT)
        except MissingDependency as error:
            return could_not_look(self.name, str(error), cause="needs")
        except HardcutError:
            raise
        except Exception as error:
            if self.reads is not None:  # a fault of ours
                raise
            return could_not_look(self.name, f"{type(error).__name__}: {error}", "mend the check, or uninstall it")
        empty = [config for config in self.reads or () if not view.seen[config] and config not in self.may_be_empty]
        if result.state == "passed" and empty:
            return could_not_look(self.name, f"there is no row of {' and '.join(empty)}", _EXPORT)
        return result


def check(
    reads: Columns,
    looks_for: str,
    cannot_look: str = "",
    may_be_empty: Collection[str] = (),
    marker: Collection[str] = (),
) -> Callable[[Ask], Check]:
    """Makes a check of a function. The check has the name of the function."""

    def made(ask: Ask) -> Check:
        return Check(ask.__name__, ask, reads, looks_for, cannot_look, may_be_empty, marker)

    return made
