"""The settings that made a dataset, as they are published: without folders and addresses of servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from hardcut.schemas.settings import Settings, TripletSettings

_GROUPS = (
    *("media", "duplicates", "evidence", "captions", "queries", "counterfactuals", "triplets"),
    *("negatives", "filters", "judgments", "export", "check"),
)
"""What decides on the content of a dataset."""
_PATHS = (("evidence", "paddle_det"), ("evidence", "paddle_rec"), ("export", "splits"))
_OF_CARD = frozenset({"export.name", "export.description", "export.authors", "export.licence"})
"""What a card says elsewhere."""


def recipe_settings(settings: Settings) -> dict[str, Any]:
    """The settings by group and name, as JSON."""
    groups = settings.model_dump(mode="json", include=set(_GROUPS))
    for group, name in _PATHS:
        groups[group][name] = groups[group][name] and PurePath(groups[group][name]).name
    groups["evidence"]["speech"] = groups["evidence"]["speech"].split("@")[0]  # server:MODEL@URL
    if settings.triplets == TripletSettings():  # as before there were any, so that a dataset stays the same version
        del groups["triplets"]
    return {group: groups[group] for group in _GROUPS if group in groups}


def changed_settings(settings: Settings) -> dict[str, Any]:
    """Those that are not the defaults and that a card does not say elsewhere, by dotted name."""
    default = dict(flat("", recipe_settings(Settings())))
    found = flat("", recipe_settings(settings))
    return {name: value for name, value in found if value != default.get(name) and name not in _OF_CARD}


def flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Nested values by dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
