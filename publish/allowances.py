"""Findings of the gate that whoever publishes lets be: each by name, with its reason.

No check is switched off whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from hardcut.publish.checks.result import SHOWN, CheckResult
from hardcut.schemas.dataset_settings import Allowance
from hardcut.schemas.errors import UsageError
from hardcut.schemas.names import suggestion
from hardcut.schemas.settings import Settings

_BECAUSE = " because "
NOTHING_TO_NAME = "could not look"
"""The item of a check that could not look, for want of rows: there is nothing else to name."""


def read_allowances(texts: Iterable[str | Allowance]) -> tuple[Allowance, ...]:
    """Allowances as a command line has them: `CHECK: ITEM because REASON`. Raises UsageError for another form.

    >>> read_allowances(["personal_data: queries q1 because it is the shop's own sign"])[0].item
    'queries q1'
    """
    found = []
    for text in texts:
        if isinstance(text, Allowance):
            found.append(text)
            continue
        named, because, reason = text.rpartition(_BECAUSE)
        check, colon, item = named.partition(":")
        if not (because and colon and check.strip() and item.strip() and reason.strip()):
            raise UsageError(
                f"--allow {text!r}: say what and why, as `CHECK: ITEM because REASON`; `hardcut check` names the "
                "items, and no check is switched off whole"
            )
        found.append(Allowance(check=check.strip(), item=item.strip(), reason=reason.strip()))
    return tuple(found)


def with_allowances(settings: Settings, more: Collection[str | Allowance]) -> Settings:
    """The settings with further allowances, each once."""
    allow = tuple(dict.fromkeys((*settings.check.allow, *read_allowances(more))))
    return settings.model_copy(update={"check": settings.check.model_copy(update={"allow": allow})})


def refuse_unknown(allow: Sequence[Allowance], checks: Collection[str]) -> None:
    """Raises UsageError for an allowance of no check."""
    for one in allow:
        if one.check not in checks:
            raise UsageError(f"allowance of {one.check!r}: no such check; {suggestion(one.check, checks)}")


def items_to_allow(result: CheckResult) -> tuple[str, ...]:
    """What allowances have to name so that a result does not stop publishing: its findings; of a measure the value up
    to which it is let be; of what could not be looked at each item, or how many, where these are not all known."""
    if not result.stops or result.cause:
        return ()
    if result.items and result.count <= len(result.items):
        return result.items
    if result.state == "unknown":
        return (str(result.count),) if result.count else (NOTHING_TO_NAME,)
    return () if result.items or result.value is None else (f"{result.value:g}",)


def allowed(result: CheckResult, allow: Sequence[Allowance]) -> CheckResult:
    """A result as far as it is let be. Damage and a missing library cannot be."""
    mine = [one for one in allow if one.check == result.name]
    wanted = items_to_allow(result)
    if not mine or not wanted:
        return result
    covers = _names if wanted == result.items else _reaches
    met = {item: one for item in wanted for one in mine if covers(one.item, item)}
    used = tuple(dict.fromkeys(met.values()))
    left = [item for item in wanted if item not in met]
    if not left:
        return replace(result, state="allowed", allowed=used)
    if not met:
        return result
    message = f"{result.message}, of which {len(met):,} are allowed"
    return replace(result, message=message, items=tuple(left), examples=tuple(left[:SHOWN]), allowed=used)


def _names(named: str, item: str) -> bool:
    """Whether an allowance names a finding: its whole text, or what stands before its first colon."""
    return named in (item, item.partition(": ")[0])


def _reaches(named: str, item: str) -> bool:
    """Whether an allowance goes as far as a value or a count does, or names that nothing could be looked at."""
    if named == item:
        return True
    try:
        return float(item) <= float(named)
    except ValueError:
        return False
