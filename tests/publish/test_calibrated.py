"""The calibrated probability beside a label: of its own teacher, of exact margins alone, and none without a fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardcut.publish.calibrated import read_calibrations
from hardcut.report.statistics.calibration import CALIBRATION_FILE, JudgedPair, calibrate
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import TeacherLabel, TeacherRef


def label(model: str, margin: float, *, exact: bool = True) -> TeacherLabel:
    return TeacherLabel.create(
        pair_id="p", query_id="q", video_id="v", verdict="yes" if margin > 0 else "no", logit_margin=margin,
        logprob_yes=-0.5 if exact else None, logprob_no=-0.5 if exact else None, exact=exact,
        teacher=TeacherRef(backend="openai", model=model),
    )  # fmt: skip


def test_margins_become_what_was_fitted_for_their_teacher(tmp_path: Path) -> None:
    pairs = [JudgedPair(f"q{n}", "event", n / 12 - 5, n % 3 > 0 if n > 40 else n % 7 == 0) for n in range(120)]
    fitted = calibrate("openai:judge", pairs)
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps({"teachers": [fitted.model_dump(mode="json")]}))
    calibrated = read_calibrations(tmp_path)
    margins = [-8.0, -4.0, 0.0, 2.0, 4.5, 9.0]
    found = [calibrated(label("judge", margin)) for margin in margins]
    assert found == [fitted.probability(margin) for margin in margins]
    assert found[0] is not None and found[-1] is not None and found[0] < 0.5 < found[-1]
    assert calibrated(label("other", 2.0)) is None, "nothing was fitted for it"
    assert calibrated(label("judge", 2.0, exact=False)) is None, "a bound is no margin"
    assert calibrated(None) is None


def test_a_fit_that_is_not_applied_gives_no_probability(tmp_path: Path) -> None:
    fitted = calibrate("openai:judge", [JudgedPair(f"q{n}", "event", n - 2.5, n > 2) for n in range(6)])
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps({"teachers": [fitted.model_dump(mode="json")]}))
    assert fitted.refusal and read_calibrations(tmp_path)(label("judge", 2.0)) is None


def test_without_a_fit_there_is_no_probability_and_a_strange_file_is_named(tmp_path: Path) -> None:
    assert read_calibrations(tmp_path)(label("judge", 2.0)) is None
    (tmp_path / CALIBRATION_FILE).write_text('{"teachers": [{}]}')
    with pytest.raises(UsageError, match=r"calibration\.json"):
        read_calibrations(tmp_path)
