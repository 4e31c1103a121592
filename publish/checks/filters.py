"""The filters of the run, asked once more of the dataset: what they could not look at is in it all the same."""

from __future__ import annotations

from functools import partial

from hardcut.publish.checks.check import Check, check
from hardcut.publish.checks.result import CheckResult, could_not_look
from hardcut.publish.dataset import GUARDED, Dataset
from hardcut.publish.guarded import GuardCoverage, added
from hardcut.schemas.guards import GUARDS, Guard
from hardcut.schemas.settings import Settings


def _filter(guard: Guard, dataset: Dataset, settings: Settings) -> CheckResult:
    looked = GuardCoverage.read(dataset, guard.name)
    name = guard.name
    if not looked.on:
        return CheckResult(name, "off", f"`{guard.setting}` switches it off")
    if looked.missing:
        advice = "mend what failed, `hardcut run` again with --retry-failed, then export again"
        return could_not_look(name, looked.unknown or "", advice, looked.missing + looked.few, looked.items)
    limit = settings.check.unchecked
    share = looked.few / looked.asked if looked.asked else 0.0
    message = f"of {looked.asked:,} queries {looked.few:,} have too little to say anything (at most {100 * limit:g} %)"
    if share > limit:
        advice = "run on more videos, or look at the queries that are named and allow it"
        return could_not_look(name, message, advice, looked.few, looked.items)
    clean = f"the {looked.asked:,} queries that it looked at pass; what it found was left out of the run"
    return CheckResult(name, "passed", message if looked.few else clean)


@check({}, "what filters that were added look for (`docs/extending.md`)", "a filter said so", marker=(GUARDED,))
def added_filters(dataset: Dataset, settings: Settings) -> CheckResult:
    """What filters that were added to Hardcut could not look at."""
    GuardCoverage.read(dataset, "near_duplicates")  # so that a dataset of a version that noted nothing is told
    found = added(dataset)
    items = [f"{name}: {item}" for name, looked in found.items() for item in looked.items]
    if items:
        return could_not_look("added_filters", ", ".join(found), "look at the items", len(items), items)
    return CheckResult("added_filters", "passed", "no filter that was added has said that it could not look")


FILTERS = tuple(
    Check(guard.name, partial(_filter, guard), {}, guard.looks_for, guard.cannot_look, marker=(GUARDED,))
    for guard in GUARDS
    if guard.items == "queries"
)
"""A check for each filter of the run."""
