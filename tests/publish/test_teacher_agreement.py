"""Agreement of several labels of one pair."""

from __future__ import annotations

from typing import Any

import pytest

from hardcut.publish.teacher_agreement import TeacherAgreement, teacher_agreement
from hardcut.schemas.records import TeacherLabel, TeacherRef


def label(verdict: str, margin: float | None = None, **fields: Any) -> TeacherLabel:
    teacher = TeacherRef(backend="test", model="m")
    given = {"pair_id": "p", "query_id": "q", "video_id": "v", "teacher": teacher, "logit_margin": margin, **fields}
    return TeacherLabel.create(verdict=verdict, **given)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], None),
        ([label("unparsed")], None),
        ([label("yes", 2.0, input="text_only")], None),
        ([label("yes", 2.0)], TeacherAgreement(1, 1.0, 1.0, 0.0)),
        ([label("yes", 2.0), label("no", -3.0), label("yes", 4.0)], TeacherAgreement(3, 1 / 3, 2 / 3, 7.0)),
        ([label("yes", 2.0), label("yes")], TeacherAgreement(2, 1.0, 1.0, None)),
    ],
)
def test_agreement_is_over_what_saw_the_video_and_could_be_read(
    labels: list[TeacherLabel], expected: TeacherAgreement | None
) -> None:
    assert teacher_agreement(labels) == expected
