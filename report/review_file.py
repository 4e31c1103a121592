"""The part of the report that tells of reviewing, out of the file that `hardcut review report` keeps in the run."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from hardcut.schemas.errors import UsageError

REVIEW_FILE = "review.json"


def read_review(run: Path) -> dict[str, JsonValue] | None:
    """What the file says; None where nobody has reviewed anything. Raises UsageError where it is not that file."""
    path = run / REVIEW_FILE
    if not path.exists():
        return None
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: cannot be read ({error}): `hardcut review report {run}` writes it anew") from error
    if not isinstance(report, dict) or "reviewers" not in report:
        raise UsageError(f"{path}: not a review report: `hardcut review report {run}` writes it anew")
    return report
