"""Filters of queries that need the teachers' verdicts: too many videos answer it, or metadata alone solves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hardcut.schemas.records import COUNTERFACTUAL, Pair, Query, TeacherLabel, Verdict, View
from hardcut.schemas.settings import FilterSettings

ENOUGH_NEGATIVES = 3
"""Negatives that a judge without the video must have been asked about, for being right to be no luck."""


def solved_without_watching(positives: Sequence[Verdict | None], negatives: Iterable[Verdict | None]) -> bool | None:
    """Whether a judge that saw only metadata got a query right: yes to a positive, no to every negative it was asked.

    Verdicts are those of text-only labels, `None` where it was not asked. By chance that happens once in 2^(n+1) times
    with n negatives. None where it was asked about no positive, or about fewer than `ENOUGH_NEGATIVES` negatives and
    nothing it said was wrong.
    """
    asked_yes = [verdict for verdict in positives if verdict is not None]
    asked_no = [verdict for verdict in negatives if verdict is not None]
    if not asked_yes:
        return None
    if "yes" not in asked_yes or "yes" in asked_no:
        return False
    return True if len(asked_no) >= ENOUGH_NEGATIVES else None


def text_only_label(labels: Iterable[TeacherLabel]) -> TeacherLabel | None:
    """The label that was given without the video, if there is one that could be read; of several the first by id."""
    found = (label for label in labels if label.input == "text_only" and label.verdict != "unparsed")
    return min(found, key=lambda label: label.label_id, default=None)


@dataclass(slots=True)
class Tally:
    """What is known of a query after all its pairs were judged."""

    view: View
    answers: int = 0
    positives: list[Verdict | None] = field(default_factory=list)
    negatives: list[Verdict | None] = field(default_factory=list)

    def add(self, pair: Pair, query: Query, labels: Sequence[TeacherLabel], grade: int | None) -> None:
        """Counts a pair; `grade` is that of its judgment, None where it has none."""
        if any(label.input == "full" and label.verdict == "yes" for label in labels):
            self.answers += pair.video_id != query.source_video_id
        told = text_only_label(labels)
        if grade is not None:
            (self.positives if grade > 0 else self.negatives).append(told.verdict if told else None)

    def reason(self, settings: FilterSettings) -> tuple[str, str] | None:
        """The first filter that leaves the query out, and why."""
        if settings.unspecific and self.answers > settings.max_answers:
            return "unspecific", f"{self.answers} videos beside its own answer it, {settings.max_answers} may"
        looked_at = settings.without_watching and self.view != "metadata"
        if looked_at and solved_without_watching(self.positives, self.negatives):
            asked = sum(verdict is not None for verdict in self.negatives)
            return "without_watching", f"metadata alone tells its video from {asked} others"
        return None


def is_filtered(query: Query) -> bool:
    """Whether the filters look at a query at all: one that a teacher wrote to be answered by its source."""
    return query.source_video_id is not None and query.variant not in COUNTERFACTUAL
