"""A run's `report.html`, written where it is out of date."""

from __future__ import annotations

from pathlib import Path

from hardcut.cli.paths import Cache
from hardcut.engine.status import read_status
from hardcut.report.review import REVIEW_FILE
from hardcut.schemas.records import RECORDS, Video
from hardcut.schemas.settings import Settings

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
    from hardcut.media.sheet import contact_sheet
    from hardcut.media.store import FrameStore
    from hardcut.report.page import write_report

    store = FrameStore(cache.frames)

    def sheet(video: Video) -> bytes | None:
        frames = store.get(video.sha256, settings.media)
        if frames is None:
            return None
        return contact_sheet(frames.spread(_SHEET_FRAMES), _SHEET_COLUMNS, _SHEET_WIDTH)

    write_report(run, sheet, read_status(run), settings.judgments, report)
    return report
