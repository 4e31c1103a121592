"""Additions of other packages by entry points: backends, importers, exporters and checks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar

from hardcut.schemas.errors import UsageError

T = TypeVar("T")

ExtensionGroup = Literal["hardcut.backends", "hardcut.importers", "hardcut.exporters", "hardcut.checks"]


def extended(ours: Mapping[str, T], group: ExtensionGroup) -> dict[str, T]:
    """Our own entries by name, and those that installed packages register.

    `docs/extending.md` says which function an entry point names. Raises UsageError for a name that is ours already or
    that two packages register, and for an entry point that cannot be imported.
    """
    found = dict(ours)
    for name, extension in _registered(group).items():
        if name in ours:
            raise UsageError(f"entry point {name!r} of {group} bears a name of Hardcut's own: give it another one")
        found[name] = extension
    return found


def loaded(entry: T | str) -> T:
    """An entry of a registry. `module:function` is imported now."""
    if not isinstance(entry, str):
        return entry
    module, _, name = entry.partition(":")
    found: T = getattr(import_module(module), name)
    return found


@lru_cache
def _registered(group: ExtensionGroup) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for point in entry_points(group=group):
        owner = point.dist.name if point.dist else "an unknown distribution"
        if point.name in found:
            raise UsageError(f"entry point {point.name!r} of {group} is registered twice, the second time by {owner}")
        try:
            found[point.name] = point.load()
        except Exception as error:
            raise UsageError(
                f"entry point {point.name!r} of {group}, from {owner}, cannot be imported "
                f"({type(error).__name__}: {error}): mend or uninstall {owner}"
            ) from error
    return found
