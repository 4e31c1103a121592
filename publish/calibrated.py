"""The calibrated probability of a label, where `hardcut calibrate` has fitted one for the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hardcut.report.statistics.calibration import CALIBRATION_FILE, Calibration
from hardcut.schemas.addresses import canonical_name
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import TeacherLabel
from hardcut.teacher.names import book_name

Calibrated = Callable[[TeacherLabel | None], float | None]


def read_calibrations(run: Path) -> Calibrated:
    """Gives the calibrated probability of a label's margin. None for a teacher whose margins no fit is applied to, and
    for a margin that is a bound.

    Raises UsageError for a file that `hardcut calibrate` did not write.
    """
    path = run / CALIBRATION_FILE
    try:
        entries = json.loads(path.read_text("utf-8"))["teachers"] if path.exists() else []
        fitted = {canonical_name(each.teacher): each for each in map(Calibration.model_validate, entries)}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}): call `hardcut calibrate {run}` again") from error

    def probability(label: TeacherLabel | None) -> float | None:
        if label is None or not label.exact or label.logit_margin is None:
            return None
        calibration = fitted.get(book_name(label.teacher))
        if calibration is None or calibration.refusal:
            return None
        return calibration.probability(label.logit_margin)

    return probability
