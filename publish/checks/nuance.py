"""Whether the text alone tells the two sides of a block: the shortcut that a student would take past the video."""

from __future__ import annotations

from collections import defaultdict

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_limit, could_not_look
from hardcut.publish.dataset import Dataset
from hardcut.report.statistics.shortcuts import is_sampled
from hardcut.report.statistics.sides import FEWEST, Sides, Told, audit, leaning_words
from hardcut.schemas.settings import Settings

_BLOCK = ("block_id", "change", "video_id", "answered", "unanswered")


@check(
    {"diagnostic": _BLOCK, "corpus": ("video_id", "group")},
    "the answered side of a block from its two texts alone: words, letters, length",
    f"fewer than {FEWEST} blocks in all",
    may_be_empty=("diagnostic",),
)
def nuance_prior(dataset: Dataset, settings: Settings) -> CheckResult:
    """The share of blocks whose answered side an auditor tells without the video, by change and over all. It fails
    where an auditor is right more often than chance allows (95 %)."""
    groups = {row["video_id"]: row["group"] for _, row in dataset.rows("corpus", ("video_id", "group"))}
    by_change: defaultdict[str, list[Sides]] = defaultdict(list)
    whole = sum(dataset.count("diagnostic", split) for split in dataset.splits("diagnostic"))
    for _, row in dataset.rows("diagnostic", _BLOCK):
        part = groups.get(row["video_id"]) or row["video_id"]
        if not is_sampled(part, whole):
            continue
        sides = Sides(row["block_id"], row["answered"]["query"], row["unanswered"]["query"], part)
        by_change[row["change"]].append(sides)
        by_change["all"].append(sides)
    if not by_change:
        return CheckResult("nuance_prior", "passed", "there is no block that could be told by its text")
    told = {change: found for change, sides in sorted(by_change.items()) if (found := audit(sides)) is not None}
    if not told:
        why = f"{len(by_change['all'])} blocks are too few to tell: {FEWEST} are needed"
        return could_not_look("nuance_prior", why, "write more counterfactuals, or add videos")
    change, worst = max(told.items(), key=lambda each: each[1].worst[1] - each[1].reach)
    message = "; ".join(f"{name}: {_message(found)}" for name, found in told.items())
    words = ", ".join(f"{word!r} {one} to {other}" for word, one, other in leaning_words(by_change[change], 3))
    findings = Findings()
    if not worst.by_chance:
        findings.add(f"{change}: words that lean to a side (answered to unanswered): {words}")
    advice = "export the run again: blocks that text tells are left out; vary how both sides are worded"
    limit = 0.5 + worst.reach
    return by_limit("nuance_prior", worst.worst[1], limit, message, advice, findings, digits=3)


def _message(told: Told) -> str:
    name, rate = told.worst
    return f"{rate:.2f} by {name} over {told.pairs} blocks (chance reaches {0.5 + told.reach:.2f})"
