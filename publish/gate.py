"""The gate: what a dataset must pass before it is published."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hardcut.publish.allowances import allowed, read_allowances, refuse_unknown
from hardcut.publish.checks import content, filters, leakage, looks, meaning, nuance, priors, shape, texts
from hardcut.publish.checks.check import Check
from hardcut.publish.checks.result import COULD_NOT_LOOK, CheckResult
from hardcut.publish.dataset import DamagedDataset, Dataset
from hardcut.schemas.dataset_settings import Allowance
from hardcut.schemas.errors import UsageError
from hardcut.schemas.extensions import extended
from hardcut.schemas.settings import Settings

_OURS: tuple[Check, ...] = (
    shape.references,
    leakage.video_leakage,
    leakage.event_leakage,
    leakage.near_duplicate_leakage,
    leakage.query_leakage,
    meaning.meaning_leakage,
    leakage.held_out_use,
    leakage.moved_splits,
    priors.query_prior,
    nuance.nuance_prior,
    texts.triplets,
    looks.look_prior,
    priors.video_prior,
    priors.text_only,
    priors.copied_text,
    shape.groups,
    shape.degenerate,
    shape.contradictions,
    shape.exactness,
    shape.media,
    content.licence,
    content.personal_data,
    content.flagged,
    *filters.FILTERS,
    filters.added_filters,
)
CHECKS: Mapping[str, Check] = {one.name: one for one in _OURS}
"""Every check of ours by its name, in the order in which they are told; the filters of the run are the last, and those
of others come after them."""


def check(dataset: Dataset, settings: Settings, allow: Collection[str | Allowance] = ()) -> list[CheckResult]:
    """What every check says. Findings that `check.allow` of the settings or `allow` (`CHECK: ITEM because REASON`) name
    are told and stop nothing.

    A check that could not look is `unknown` and says why: a damaged file, a library that is not installed, too little
    to say anything. Only the last can be allowed. Raises UsageError for an allowance of no check, and where the folder
    is no dataset.
    """
    checks = {name: Check.from_entry_point(name, one) for name, one in extended(CHECKS, "hardcut.checks").items()}
    allowances = (*settings.check.allow, *read_allowances(allow))
    refuse_unknown(allowances, checks)
    dataset.marker  # noqa: B018 - refuses a folder that is no dataset
    return [allowed(one(dataset, settings), allowances) for one in checks.values()]


def refuse_damaged(results: Sequence[CheckResult]) -> None:
    """Raises DamagedDataset, with the first file and column that a check could not read, where there is one: a dataset
    that was altered says nothing more that counts."""
    damaged = [result for result in results if result.cause == "damaged"]
    if damaged:
        message = damaged[0].message.removeprefix(COULD_NOT_LOOK)
        raise DamagedDataset(f"{message} ({len(damaged)} of {len(results)} checks could not look)")


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
