"""Whether a look at the videos alone tells which of them answers a query: the shortcut past the query."""

from __future__ import annotations

from collections.abc import Sequence

from hardcut.publish.checks.check import check
from hardcut.publish.checks.result import CheckResult, Findings, by_limit, could_not_look
from hardcut.publish.comparisons import ALL, CORPUS_COLUMNS, PAIR_COLUMNS, Looks
from hardcut.publish.dataset import Dataset
from hardcut.report.statistics.looks import FEWEST, FEWEST_PARTS, Looked, audit_looks
from hardcut.schemas.settings import Settings

_AGAIN = "start `hardcut run` once more with `duplicates.near = true`, and export it again"


@check(
    {"pairs": PAIR_COLUMNS, "corpus": CORPUS_COLUMNS},
    "which of two videos answers a query from their frames and files alone, not knowing the query",
    f"fewer than {FEWEST} comparisons or {FEWEST_PARTS} groups of videos; nothing is known of a video's pictures",
)
def look_prior(dataset: Dataset, settings: Settings) -> CheckResult:
    """The share of comparisons (an answer, and a video that does not answer) that an auditor tells from brightness,
    colour, length, codec and the like, by how the other video met the query. It fails where that is more than chance
    allows."""
    looks = Looks.read(dataset)
    if looks.lost:
        why = "videos of the pairs are not in the corpus"
        return could_not_look("look_prior", why, "export the run again", len(looks.lost), looks.lost)
    told = _audited(looks, sorted(looks.comparisons.keys() - {ALL})) or _audited(looks, [ALL])
    if not told:
        count, groups = len(looks.comparisons[ALL]), len({looks.parts[video] for video in looks.features})
        why = (
            f"{count:,} comparisons of {groups:,} groups of videos are too few: {FEWEST} and {FEWEST_PARTS} are needed"
        )
        return could_not_look("look_prior", why, "judge more pairs, or add videos")
    kind, worst = max(told.items(), key=lambda each: each[1].rate - each[1].reach)
    if worst.by_chance and looks.unseen:
        why = f"nothing is known of how {len(looks.unseen):,} videos look"
        return could_not_look("look_prior", why, _AGAIN, len(looks.unseen), looks.unseen)
    message = "; ".join(f"{name}: {_message(found)}" for name, found in told.items())
    findings = Findings()
    if not worst.by_chance:
        findings.extend(f"{kind}: {_lean(*each)}" for each in worst.leaning[:5])
    advice = (
        "answers and other videos differ in how they were made: give both the same treatment, or leave out the videos "
        "that never answer"
    )
    return by_limit("look_prior", worst.rate, round(0.5 + worst.reach, 3), message, advice, findings, digits=3)


def _audited(looks: Looks, kinds: Sequence[str]) -> dict[str, Looked]:
    """Of each kind of which there is enough."""
    found = {kind: audit_looks(looks.comparisons[kind], looks.features, looks.parts) for kind in kinds}
    return {kind: told for kind, told in found.items() if told is not None}


def _message(told: Looked) -> str:
    rate, limit = f"{told.rate:.2f} by {told.auditor}", f"{0.5 + told.reach:.2f}"
    return f"{rate} over {told.comparisons:,} comparisons (chance reaches {limit})"


def _lean(name: str, share: float) -> str:
    return f"{name!r} is more in the answer in {100 * share:.0f} % of the comparisons"
