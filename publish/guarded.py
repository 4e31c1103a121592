"""What a run's guards looked at, and what they could not: out of its `unchecked.jsonl` into the dataset's marker, so
that a dataset knows it when its run is long gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hardcut.publish.checks.result import CouldNotLook
from hardcut.publish.dataset import GUARDED, DamagedDataset, Dataset
from hardcut.schemas.guards import GUARDS, Guard, Unchecked
from hardcut.schemas.settings import Settings

NAMED = 100
"""Items of one guard that a dataset names; it counts all."""
_AGAIN = "an earlier version made it: start `hardcut run` once more and export it again"


@dataclass(frozen=True, slots=True)
class GuardCoverage:
    """What one guard looked at: whether it was on, how many items it was asked about, of how many what it reads was
    missing and of how many there was too little to say, and some of these in words."""

    on: bool
    asked: int = 0
    missing: int = 0
    few: int = 0
    items: tuple[str, ...] = ()

    @property
    def unknown(self) -> str | None:
        """Why the guard has no answer for some items, those with too little to say aside; None where it has one for
        all."""
        return f"of {self.asked:,} items {self.missing:,} could not be looked at" if self.missing else None

    @classmethod
    def read(cls, dataset: Dataset, guard: str) -> GuardCoverage:
        """Out of a dataset's marker. Raises DamagedDataset where it does not tell."""
        kept = dataset.marker.get(GUARDED, {}).get(guard)
        if kept is None:
            raise CouldNotLook(f"the dataset does not say what {guard!r} could not look at: {_AGAIN}")
        try:
            asked, missing, few = kept["asked"], kept["missing"], kept["few"]
            numbers = (asked, missing, few)
            if type(kept["on"]) is not bool or any(type(number) is not int or number < 0 for number in numbers):
                raise TypeError("a number is expected")
            return cls(kept["on"], asked, missing, few, tuple(map(str, kept["items"])))
        except (KeyError, TypeError) as error:
            raise DamagedDataset(f"{dataset.folder}: {GUARDED!r} of its marker are altered: export it again") from error


def added(dataset: Dataset) -> dict[str, GuardCoverage]:
    """The guards that a dataset tells of and that are none of ours: filters that were added, and could not look."""
    ours = {guard.name for guard in GUARDS}
    return {name: GuardCoverage.read(dataset, name) for name in dataset.marker.get(GUARDED, {}) if name not in ours}


def looked(
    unchecked: Iterable[Unchecked] | None, videos: Collection[str], queries: Mapping[str, bool], settings: Settings
) -> dict[str, dict[str, Any]]:
    """What each guard looked at, for the marker. `queries`: those of the dataset that were written for a video, each
    with whether it is a counterfactual. Empty where the run did not note it (`unchecked` is None)."""
    if unchecked is None:
        return {}
    found: defaultdict[str, list[Unchecked]] = defaultdict(list)
    for record in unchecked:
        if record.item in (videos if record.guard == "near_duplicates" else queries):
            found[record.guard].append(record)
    noted = {guard.name: _note(guard, found[guard.name], videos, queries, settings) for guard in GUARDS}
    added = sorted(found.keys() - noted.keys())
    return noted | {name: _counts(len(queries), found[name], on=True) for name in added}


def _note(
    guard: Guard, unchecked: list[Unchecked], videos: Collection[str], queries: Mapping[str, bool], settings: Settings
) -> dict[str, Any]:
    asked = len(videos)
    if guard.items == "queries":
        asked = sum(guard.counterfactuals or not counterfactual for counterfactual in queries.values())
    return _counts(asked, unchecked, on=_on(guard, settings))


def _counts(asked: int, unchecked: list[Unchecked], *, on: bool) -> dict[str, Any]:
    missing = [record for record in unchecked if record.why == "missing"]
    few = [record for record in unchecked if record.why == "few"]
    return {
        "on": on,
        "asked": asked,
        "missing": len(missing),
        "few": len(few),
        "items": [f"{record.item}: {record.detail}" for record in [*missing, *few][:NAMED]],
    }


def _on(guard: Guard, settings: Settings) -> bool:
    value: Any = settings
    for part in guard.setting.split(".") if guard.setting else ():
        value = getattr(value, part)
    return value is settings or bool(value)
