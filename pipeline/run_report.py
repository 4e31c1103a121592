"""Writes a run's `report.html` where it is out of date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.pipeline.cache import Cache
from hardcut.report.review_file import REVIEW_FILE
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.errors import DamagedInput
from hardcut.schemas.records import Video
from hardcut.schemas.settings import Settings

if TYPE_CHECKING:
    from hardcut.publish.difficulty import Difficulty
    from hardcut.report.run_data import Example

_SHEET_FRAMES = 8
_SHEET_COLUMNS = 4
_SHEET_WIDTH = 960


def refresh_report(run: Path, settings: Settings, cache: Cache) -> Path:
    """Writes the report unless it is newer than every file of the run that it shows. Returns its path."""
    report = run / "report.html"
    names = (*(record.FILE for record in RECORDS), REVIEW_FILE)
    files = [path for name in names if (path := run / name).exists()]
    if report.exists() and all(path.stat().st_mtime_ns <= report.stat().st_mtime_ns for path in files):
        return report
    from hardcut.report.run_page import write_report

    write_report(run, sheets_of(settings, cache), settings, _measure, report)
    return report


def sheets_of(settings: Settings, cache: Cache) -> Callable[[Video], bytes | None]:
    """A function that makes a video's contact sheet from its stored frames; None where they are gone."""
    from hardcut.media.sheet import contact_sheet
    from hardcut.media.store import FrameStore

    store = FrameStore(cache.frames)

    def sheet(video: Video) -> bytes | None:
        frames = store.get(video.sha256, settings.media)
        if frames is None:
            return None
        try:
            return contact_sheet(frames.spread(_SHEET_FRAMES), _SHEET_COLUMNS, _SHEET_WIDTH)
        except DamagedInput:
            return None

    return sheet


def _measure(example: Example) -> Difficulty:
    """The difficulty of an example's query, from its judged pairs."""
    from hardcut.publish.difficulty import difficulty

    rows = [
        {
            "label": candidate.judgment.grade,
            "first_stage": [found.model_dump() for found in candidate.pair.first_stage],
            "logit_margin": candidate.label.logit_margin if candidate.label else None,
            "text_only": candidate.text_only.verdict if candidate.text_only else None,
        }
        for candidate in example.candidates
        if candidate.judgment is not None
    ]
    return difficulty(rows, [facet.model_dump() for facet in example.query.facets])
