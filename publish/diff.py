"""What one version of a dataset has that another has not: rows added, gone, changed and moved, by reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hardcut.publish._scratch import Scratch
from hardcut.publish.dataset import LEFT_OUT, Dataset
from hardcut.publish.withheld import reason_of
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.records import Dropped

_SHOWN = 20
_COMPARED: Mapping[str, tuple[str, str]] = {
    "corpus": ("video_id", "sha256"),
    "queries": ("query_id", "query"),
    "pairs": ("pair_id", "label"),
}
"""The configs that are compared: the id of a row, and what of it may change."""
_MADE: Mapping[str, tuple[str, str]] = {
    "groups": ("group_id", "query_id"),
    "captions": ("caption_id", "video_id"),
    "diagnostic": ("block_id", "video_id"),
}
"""Configs that are made of those, by settings too: other rows have other ids."""
UNTOLD = "no reason told"
"""Of a row that is gone and that the new version does not list as left out."""


@dataclass(slots=True)
class ConfigDiff:
    """A config in two versions: rows `added` by split, `gone` by reason, `changed` by what became of it (`0 -> 1`), and
    `moved` to another split. `held_out` counts rows of validation and test that are gone, changed or moved. `examples`
    are a few of each."""

    same: int = 0
    added: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    held_out: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, what: str, name: str, id: str) -> None:
        """Counts one row."""
        getattr(self, what)[name] += 1
        shown = self.examples.setdefault(what, [])
        if len(shown) < _SHOWN:
            shown.append(f"{id}: {name}")


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """Two versions of a dataset, by config. `made` has the configs that are made of the others' rows, where they
    differ."""

    configs: Mapping[str, ConfigDiff]
    made: Mapping[str, ConfigDiff] = field(default_factory=dict)

    def total(self, what: str) -> int:
        """How many rows of all configs were added, gone, changed or moved."""
        return sum(getattr(each, what).total() for each in self.configs.values())

    @property
    def breaks(self) -> bool:
        """Whether figures of the version before do not compare: a row that was held out is gone, changed or moved, or
        a row moved at all."""
        return bool(self.total("moved")) or any(each.held_out for each in self.configs.values())

    @property
    def is_empty(self) -> bool:
        """Whether both have the same rows."""
        return not self.made and not any(self.total(what) for what in ("added", "gone", "changed", "moved"))

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            config: {name: getattr(each, name) for name in ConfigDiff.__slots__}
            for config, each in {**self.configs, **self.made}.items()
        }


def diff(old: Dataset, new: Dataset) -> DatasetDiff:
    """Compares videos (by id; changed is another file), queries and pairs (changed is another label), and the rows that
    are made of them. Rows are joined in tables on disk, so memory does not grow with them.

    Raises UsageError for a folder that is no dataset, DamagedDataset for one that was altered.
    """
    left_out = {each.item: each.reason for each in _left_out(new)}

    def why(id: str) -> str:
        return left_out.get(id) or reason_of(new, id) or UNTOLD

    made = {
        config: _compared(config, columns, old, new, lambda id: UNTOLD)
        for config, columns in _MADE.items()
        if config in old.configs and config in new.configs
    }
    return DatasetDiff(
        {config: _compared(config, columns, old, new, why) for config, columns in _COMPARED.items()},
        {config: each for config, each in made.items() if each.added or each.gone or each.moved},
    )


def _compared(
    config: str, columns: tuple[str, str], old: Dataset, new: Dataset, why: Callable[[str], str]
) -> ConfigDiff:
    found = ConfigDiff()
    with Scratch() as rows:
        rows.fill(_rows(config, columns, old, "old"))
        rows.fill(_rows(config, columns, new, "new"))
        for id, bodies in rows.groups():
            sides = {side: (split, value) for side, split, value in map(json.loads, bodies)}
            _count(found, config, id, sides.get("old"), sides.get("new"), why)
    return found


def _count(
    found: ConfigDiff,
    config: str,
    id: str,
    old: tuple[str, Any] | None,
    new: tuple[str, Any] | None,
    why: Callable[[str], str],
) -> None:
    if old is None:
        found.count("added", new[0] if new else "", id)
        return
    if new == old:
        found.same += 1
        return
    found.held_out += old[0] != "train"
    if new is None:
        found.count("gone", why(id), id)
        return
    if new[0] != old[0]:
        found.count("moved", f"{old[0]} -> {new[0]}", id)
    if new[1] != old[1]:
        found.count("changed", f"{old[1]} -> {new[1]}" if config == "pairs" else "another file", id)


def _rows(config: str, columns: tuple[str, str], dataset: Dataset, side: str) -> Iterator[tuple[str, str]]:
    key, value = columns
    for split, row in dataset.rows(config, (key, value)):
        yield row[key], json.dumps([side, split, row[value]])


def _left_out(dataset: Dataset) -> Iterator[Dropped]:
    path = dataset.folder / LEFT_OUT
    return read_records(path, Dropped) if path.exists() else iter(())
