"""The gate: what a dataset must pass before it is published."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from hardcut.publish.checks import content, leakage, priors, shape
from hardcut.publish.checks.result import CheckResult
from hardcut.publish.dataset import Dataset
from hardcut.schemas.errors import HardcutError, MissingDependency, UsageError
from hardcut.schemas.extensions import extended
from hardcut.schemas.names import suggestion
from hardcut.schemas.settings import Settings

Check = Callable[[Dataset, Settings], CheckResult]

CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        shape.references,
        leakage.video_leakage,
        leakage.event_leakage,
        leakage.near_duplicate_leakage,
        leakage.query_leakage,
        leakage.held_out_use,
        priors.query_prior,
        priors.video_prior,
        priors.text_only,
        priors.copied_text,
        shape.groups,
        shape.degenerate,
        shape.exactness,
        shape.media,
        content.licence,
        content.personal_data,
    )
}
"""Every check of ours by its name, in the order in which they are told; those of others come after them."""


def check(dataset: Dataset, settings: Settings, allow: Collection[str] = ()) -> list[CheckResult]:
    """What every check says. `allow` overrides checks by name: they are run and told all the same.

    A check whose library is not installed is `not_run`, and says how to get it. Raises UsageError for a name in `allow`
    that is no check, and where the dataset cannot be read.
    """
    checks = extended(CHECKS, "hardcut.checks")
    for name in allow:
        if name not in checks:
            raise UsageError(f"--allow {name!r}: no such check; {suggestion(name, checks)}")
    return [_run(name, one, dataset, settings, name in allow) for name, one in checks.items()]


def stopped(results: Sequence[CheckResult]) -> list[CheckResult]:
    """The results that stand in the way of publishing."""
    return [result for result in results if result.stops]


def gate_settings(dataset: Dataset) -> Settings:
    """The settings that the dataset was made with, as its marker keeps them."""
    kept = dataset.marker.get("settings", {})
    try:
        return Settings.model_validate({name: kept[name] for name in ("judgments", "export", "check") if name in kept})
    except ValueError as error:
        raise UsageError(f"{dataset.folder}: its settings cannot be read: export it with this version") from error


def _run(name: str, one: Check, dataset: Dataset, settings: Settings, allowed: bool) -> CheckResult:
    try:
        result = one(dataset, settings)
    except MissingDependency as error:
        return CheckResult(name, "not_run", str(error))
    except HardcutError:
        raise
    except Exception as error:
        if name in CHECKS:  # a fault of ours
            raise
        return CheckResult(name, "not_run", f"{type(error).__name__}: {error}", "mend the check, or uninstall it")
    return replace(result, state="allowed") if result.state == "failed" and allowed else result
