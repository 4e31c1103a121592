"""How far several labels of one pair agree: of several teachers, or of one that was asked several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from hardcut.schemas.records import TeacherLabel


@dataclass(frozen=True, slots=True)
class TeacherAgreement:
    """`agreement` is the share of pairs of labels with one verdict (1.0 for a single label), `yes` the share that says
    yes, `spread` the distance between the highest and the lowest margin, None where one is not known."""

    labels: int
    agreement: float
    yes: float
    spread: float | None


def teacher_agreement(labels: Sequence[TeacherLabel]) -> TeacherAgreement | None:
    """Over the labels of one pair that saw the video and could be read; None where there are none."""
    read = [label for label in labels if label.input == "full" and label.verdict != "unparsed"]
    if not read:
        return None
    same = [a.verdict == b.verdict for a, b in combinations(read, 2)]
    margins = [label.logit_margin for label in read if label.logit_margin is not None]
    return TeacherAgreement(
        labels=len(read),
        agreement=sum(same) / len(same) if same else 1.0,
        yes=sum(label.verdict == "yes" for label in read) / len(read),
        spread=max(margins) - min(margins) if len(margins) == len(read) else None,
    )
