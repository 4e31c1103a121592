"""Filters of queries that need the teachers' verdicts: too many videos answer it, or metadata alone solves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hardcut.schemas.guards import PASSED, Answer, could_not_look, found
from hardcut.schemas.records import TURNED, Pair, Query, TeacherLabel, Verdict, View
from hardcut.schemas.settings import FilterSettings
from hardcut.schemas.text_only import asked_text_only

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
    """What is known of a query after all its pairs were judged. `unread` are the candidates beside its own video that
    no teacher gave a readable answer on, `lost` the pairs whose answer by metadata alone cannot be had. `metadata` is
    whether its own video has any: one without gives nothing away, and nobody is asked."""

    view: View
    metadata: bool = True
    answers: int = 0
    unread: int = 0
    lost: int = 0
    positives: list[Verdict | None] = field(default_factory=list)
    negatives: list[Verdict | None] = field(default_factory=list)

    def add(
        self, pair: Pair, query: Query, labels: Sequence[TeacherLabel], grade: int | None, metadata: bool = True
    ) -> None:
        """Counts a pair; `grade` is that of its judgment, None where it has none, `metadata` whether its video has any
        that a teacher could be asked by."""
        verdicts = {label.verdict for label in labels if label.input == "full"} - {"unparsed"}
        if pair.video_id != query.source_video_id:
            self.answers += "yes" in verdicts
            self.unread += not verdicts
        told = text_only_label(labels)
        self.lost += told is None and metadata and asked_text_only(pair)
        if grade is not None:
            (self.positives if grade > 0 else self.negatives).append(told.verdict if told else None)

    def answers_of(self, settings: FilterSettings) -> Iterator[tuple[str, Answer]]:
        """What each filter that is on says of the query, in their order."""
        if settings.unspecific:
            yield "unspecific", self._unspecific(settings.max_answers)
        if settings.without_watching and self.view != "metadata":
            yield "without_watching", self._without_watching()

    def _unspecific(self, most: int) -> Answer:
        if self.answers > most:
            return found(f"{self.answers} videos beside its own answer it, {most} may")
        if self.answers + self.unread > most:
            return could_not_look(f"{self.answers} videos beside its own answer it, and of {self.unread} nobody knows")
        return PASSED

    def _without_watching(self) -> Answer:
        solved = solved_without_watching(self.positives, self.negatives)
        asked = sum(verdict is not None for verdict in self.negatives)
        if solved:
            return found(f"metadata alone tells its video from {asked} others")
        if solved is not None or not self.metadata or not self.positives:
            return PASSED  # a query without a positive is in no training group
        if not any(self.positives):
            return could_not_look("no teacher's answer on its own video by metadata alone")
        detail = f"by metadata alone a teacher told of {asked} negatives, {ENOUGH_NEGATIVES} are needed to tell"
        return could_not_look(detail, "missing" if self.lost else "few")


def is_filtered(query: Query) -> bool:
    """Whether the filters look at a query at all: one that a teacher wrote to be answered by its source."""
    return query.source_video_id is not None and query.variant not in TURNED
