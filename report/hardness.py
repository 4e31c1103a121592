"""Why a query is hard, in sentences, out of what was measured of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hardcut.report.run_data import CandidateView, Example


class MeasuredDifficulty(Protocol):
    """What was measured of a query (`publish/difficulty.py`): None where it is not known."""

    @property
    def positive_rank(self) -> int | None: ...
    @property
    def margin_gap(self) -> float | None: ...
    @property
    def unwatched(self) -> bool | None: ...
    @property
    def modalities(self) -> int: ...
    @property
    def spans(self) -> int: ...
    @property
    def score(self) -> float | None: ...


Measure = Callable[[Example], MeasuredDifficulty]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that makes a query hard, or easy."""

    hard: bool
    text: str


def reasons(example: Example, measured: MeasuredDifficulty) -> list[Reason]:
    """What is known, each as a sentence that a reader of the page can check beside it."""
    found = []
    rank = measured.positive_rank
    if rank is not None:
        place = "first: its words alone find it" if rank == 1 else f"at place {rank}: its words alone do not find it"
        found.append(Reason(rank > 1, f"The first stage puts its video {place}."))
    closest = _closest(example)
    if measured.margin_gap is not None and closest is not None:
        who = f"{closest.pair.video_id} ({' and '.join(closest.pair.origins)})"
        side = "below" if measured.margin_gap > 0 else "above"
        text = f"The closest video that does not answer it, {who}, lies {abs(measured.margin_gap):.1f} {side} it."
        found.append(Reason(measured.margin_gap < _CLOSE, text))
    if measured.unwatched is not None:
        solves = "solves it: nobody has to watch" if measured.unwatched else "does not solve it: one has to watch"
        found.append(Reason(not measured.unwatched, f"Metadata alone {solves}."))
    if measured.modalities:
        needs = f"{_count(measured.modalities, 'modality', 'modalities')} and {_count(measured.spans, 'moment')}"
        found.append(Reason(measured.modalities + measured.spans > 2, f"It takes {needs} to answer it."))
    return found


_CLOSE = 3.0
"""A gap below this counts as hard: the teacher's odds of the right order are less than 20 to 1."""


def _closest(example: Example) -> CandidateView | None:
    negatives = [each for each in example.candidates if each.judgment is not None and each.judgment.grade == 0]
    known = [each for each in negatives if each.label is not None and each.label.logit_margin is not None]
    return max(known, key=lambda each: (_margin(each), each.pair.pair_id), default=None)


def _margin(candidate: CandidateView) -> float:
    margin = candidate.label.logit_margin if candidate.label else None
    return -1e9 if margin is None else margin


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
