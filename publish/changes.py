"""The version of a dataset, and the changelog that it carries from version to version."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.publish.assigned import ASSIGNED
from hardcut.publish.dataset import LEFT_OUT, Dataset
from hardcut.publish.diff import DatasetDiff
from hardcut.publish.media import GONE, NO_CLIP
from hardcut.publish.withheld import reason_of
from hardcut.schemas.jsonl import read_records, write_records
from hardcut.schemas.records import Dropped

CHANGES = "CHANGELOG.md"
VERSION = "version"
"""The key of the marker for the version."""
FIRST_VERSION = "1.0.0"
_HEAD = (
    "# Changes of this dataset\n\nNewest first. The first number counts up where held-out rows are gone, changed or "
)
_HEAD += "moved, so that figures do not compare; the second where other rows changed or came.\n"
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})")
_SHOWN = 60
"""Characters of a setting's value in a line."""
NAMES = {"corpus": "videos", "queries": "queries", "pairs": "pairs"}


@dataclass(frozen=True, slots=True)
class Changes:
    """A version, the one before it, and the lines that say what is different."""

    version: str
    before: str
    lines: tuple[str, ...]


def version_of(dataset: Dataset) -> str:
    """The dataset's version; the first, where it was made before versions were counted."""
    found = dataset.marker.get(VERSION)
    return found if isinstance(found, str) and _VERSION.fullmatch(found) else FIRST_VERSION


def next_version(before: str, found: DatasetDiff) -> str:
    """Semantic: a major version where figures do not compare with those before, a minor one where rows came or changed,
    a patch where none did."""
    match = _VERSION.fullmatch(before)
    major, minor, patch = (int(part) for part in match.groups()) if match else (1, 0, 0)
    if found.breaks:
        return f"{major + 1}.0.0"
    return f"{major}.{minor}.{patch + 1}" if found.is_empty else f"{major}.{minor + 1}.0"


def changes(old: Dataset, new: Dataset, found: DatasetDiff) -> Changes:
    """What the version after `old` is called and says."""
    before = version_of(old)
    return Changes(next_version(before, found), before, (*rows_told(found), *_settings(old, new)))


def rows_told(found: DatasetDiff) -> Iterator[str]:
    """A line for each config: how many rows of it are others, `NAME: COUNTS`."""
    for config, each in found.configs.items():
        parts = [
            f"{counts.total():,} {what} ({', '.join(f'{name} {count:,}' for name, count in sorted(counts.items()))})"
            for what, counts in (
                ("added", each.added), ("gone", each.gone), ("changed", each.changed), ("moved", each.moved),
            )
            if counts
        ]  # fmt: skip
        yield f"{NAMES[config]}: {'; '.join(parts) or 'none changed'}; {each.same:,} as before"
    for config, each in found.made.items():
        yield f"{config}: {each.added.total():,} added, {each.gone.total():,} gone; {each.same:,} as before"


def _settings(old: Dataset, new: Dataset) -> Iterator[str]:
    """One line with the settings that are others, where there are any."""
    before, after = (dict(_named(dataset.marker.get("settings", {}))) for dataset in (old, new))
    changed = [
        f"{name} {_short(before[name])} -> {_short(after[name])}"
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]
    if changed:
        yield f"settings: {'; '.join(changed)}"


def _named(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting by its dotted name."""
    if isinstance(settings, dict) and settings:
        for name, value in settings.items():
            yield from _named(value, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, settings


def _short(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def write_changelog(folder: Path, old: Dataset, told: Changes) -> None:
    """Writes the changelog: this version's entry, then those of the version before."""
    path = old.folder / CHANGES
    earlier = path.read_text("utf-8").partition("\n## ")[2] if path.exists() else ""
    entry = "".join(f"- {line}\n" for line in told.lines)
    rest = f"\n## {earlier}" if earlier else f"\n## {told.before}\n\n- the first of its line\n"
    (folder / CHANGES).write_text(f"{_HEAD}\n## {told.version}\n\n{entry}{rest}", encoding="utf-8", newline="\n")


def carry_on(new: Dataset, old: Dataset) -> Changes | None:
    """Makes `new`, of the same rows, the same version as `old`: with its changelog, its earlier splits, and its lines
    about what left, but for clips, which are packed anew or not. What its changelog says of this version; None for the
    first of its line."""
    for name in (CHANGES, ASSIGNED):
        if (old.folder / name).exists():
            shutil.copyfile(old.folder / name, new.folder / name)
    known = {each.item for each in read_records(new.folder / LEFT_OUT, Dropped)}
    with (new.folder / LEFT_OUT).open("a", encoding="utf-8", newline="\n") as file:
        earlier = (each for each in read_records(old.folder / LEFT_OUT, Dropped) if each.reason not in (GONE, NO_CLIP))
        earlier = (each for each in earlier if each.item not in known and reason_of(new, each.item) is None)
        write_records(file, earlier)
    return _told(old)


def _told(dataset: Dataset) -> Changes | None:
    """What the changelog says of the dataset's own version: its first entry, and whose version comes next."""
    path = dataset.folder / CHANGES
    entries = path.read_text("utf-8").split("\n## ")[1:] if path.exists() else []
    if len(entries) < 2:
        return None
    version, *lines = entries[0].splitlines()
    before = entries[1].partition("\n")[0]
    return Changes(version, before, tuple(line.removeprefix("- ") for line in lines if line))


def write_gone(new: Dataset, old: Dataset, dropped: Iterable[Dropped]) -> None:
    """Adds to `left_out.jsonl` a line for each pair of the version before that is in the new one neither as a row nor
    as a line, with the run's own reason (`dropped`), so that none leaves without one. Pairs that reviewers' flags
    withhold are in the marker, by digest: no file names them."""
    gone = {row["pair_id"] for _, row in old.rows("pairs", ("pair_id",))}
    gone.difference_update(row["pair_id"] for _, row in new.rows("pairs", ("pair_id",)))
    gone.difference_update(each.item for each in read_records(new.folder / LEFT_OUT, Dropped))
    gone = {id for id in gone if reason_of(new, id) is None}
    reasons: Mapping[str, Dropped] = {each.item: each for each in dropped if each.item in gone}
    with (new.folder / LEFT_OUT).open("a", encoding="utf-8", newline="\n") as file:
        write_records(file, (reasons.get(id) or _untold(id) for id in sorted(gone)))


def _untold(pair_id: str) -> Dropped:
    detail = "it is in the version before, and the run has no such pair and no line about it"
    return Dropped.create(item=pair_id, stage="export", reason="not_in_run", detail=detail)
