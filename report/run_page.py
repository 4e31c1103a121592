"""`report.html`: one file that shows a run, needs neither network nor script, and trusts nothing that it shows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut import __version__
from hardcut.engine.status import RunStatus, StageStatus, read_status
from hardcut.report.hardness import Measure, reasons
from hardcut.report.plots.margins import histogram, place, time_ticks
from hardcut.report.review_file import read_review
from hardcut.report.run_data import KINDS, LISTED, PAIRS_PER_EXAMPLE, Example, ReportData, read_report_data
from hardcut.report.spending import spend_lines
from hardcut.report.templates import html_template, write_page
from hardcut.schemas.guards import FILTERS
from hardcut.schemas.records import QueryKind, Video
from hardcut.schemas.settings import Settings
from hardcut.schemas.text.times import duration_text

_KINDS: Mapping[QueryKind, str] = {
    "event": "Something happens, is shown or is said.",
    "temporal": "Two things, and the order in which they come or the way in which they go.",
    "negation": "Something is there, and something else must not be.",
    "composed": "A reference video, and what is to be different from it.",
    "multi_hop": "Two modalities have to be put together.",
    "moment": "One stretch of the video, where it is.",
    "cause": "Something happens, and why, or what comes of it.",
    "count": "How many there are, or how often it happens.",
    "spatial": "Where things are to each other, or in the picture.",
    "contradiction": "What is said does not fit what is shown.",
}

Sheets = Callable[[Video], bytes | None]
"""The contact sheet of a video as a JPEG, or `None` where none of its frames are stored."""

MAX_SHEET_BYTES = 512 * 1024
"""A larger sheet is left out, so that the page stays small."""


@dataclass(frozen=True, slots=True)
class _Tile:
    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Kind:
    name: QueryKind
    description: str
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class _Filter:
    name: str
    description: str
    on: bool
    count: int
    unit: str


@dataclass(frozen=True, slots=True)
class _Part:
    colour: str
    left: float
    width: float


def write_report(run: Path, sheets: Sheets, settings: Settings, measure: Measure, out: Path) -> None:
    """Writes the report of a run's folder, finished or not, to the file `out`; a reader never sees half of it.
    `measure` gives the difficulty of an example's query.

    It shows counts of everything and samples of a fixed size, so it stays under a few megabytes however large the run
    is. Raises RecordError for a damaged file of the run, StorageError where `out` cannot be written.
    """
    write_page(out, render(run, sheets, read_status(run), settings, measure))


def render(run: Path, sheets: Sheets, status: RunStatus, settings: Settings, measure: Measure) -> str:
    """The page's text."""
    found, thresholds = read_report_data(run), settings.judgments
    spent = spend_lines(status.spend, settings)
    return html_template("hardcut.report", "report.html.jinja").render(
        name=run.absolute().name,
        found=found,
        status=status,
        thresholds=thresholds,
        review=read_review(run),
        tiles=_tiles(found, status),
        plot=histogram(found.margins, thresholds.trusted_below, thresholds.suspected_above),
        pending=any(stage.pending for stage in status.stages),
        failed_total=max(sum(stage.failed for stage in status.stages), len(status.failed)),
        slowest=max((item.seconds for item in status.slowest), default=0.0) or 1.0,
        listed=LISTED,
        spent=spent,
        estimated=sum(line.estimated_tokens for line in spent),
        version=__version__,
        kinds=_kinds(found),
        filters=_filters(found, settings),
        measure=measure,
        reasons=reasons,
        shown_pairs=PAIRS_PER_EXAMPLE,
        parts=_parts,
        place=place,
        time_ticks=time_ticks,
        sheet_of=lambda video: data_url(sheets(video)),
    )


def _kinds(found: ReportData) -> list[_Kind]:
    """The examples by kind of query, in the order of the kinds."""
    return [
        _Kind(kind, _KINDS[kind], examples)
        for kind in KINDS
        if (examples := [example for example in found.examples if example.query.kind == kind])
    ]


def _filters(found: ReportData, settings: Settings) -> list[_Filter]:
    """Every filter with its switch and what it left out: queries before any pair was scored, pairs after."""
    switches: dict[str, object] = settings.filters.model_dump()
    rows = []
    for name, description in FILTERS.items():
        by_stage = [(stage, counts[name]) for stage, counts in sorted(found.dropped.items()) if counts[name]]
        count = sum(number for _, number in by_stage)
        unit = "pairs" if any(stage == "judgments" for stage, _ in by_stage) else "queries"
        rows.append(_Filter(name, description, bool(switches.get(name, True)), count, unit if count else ""))
    return rows


def _tiles(found: ReportData, status: RunStatus) -> list[_Tile]:
    count = found.records
    relevant = sum(number for (_, grade), number in found.grades.items() if grade > 0)
    people = sum(number for (source, _), number in found.grades.items() if source in ("human", "adjudicated"))
    failed = sum(stage.failed for stage in status.stages)
    lengths = f"{duration_text(found.seconds)} in all", str(found.coverage)
    return [
        _Tile("videos", f"{count['videos']:,}", ", ".join(filter(None, lengths))),
        _Tile("lines of evidence", f"{count['evidence']:,}", ", ".join(sorted(found.evidence))),
        _Tile("queries", f"{count['queries']:,}", f"of {count['captions']:,} captioned videos"),
        _Tile("pairs", f"{count['pairs']:,}", f"{found.margins.labels:,} teacher labels"),
        _Tile("judgments", f"{count['judgments']:,}", f"{relevant:,} relevant, {people:,} by people"),
        _Tile("failed units", f"{failed:,}", "listed below" if failed else ""),
    ]


def _parts(stage: StageStatus) -> list[_Part]:
    """The stretches of a stage's bar in percent."""
    parts, left = [], 0.0
    for colour, units in (
        ("done", stage.done), ("dropped", stage.dropped), ("failed", stage.failed), ("pending", stage.pending),
    ):  # fmt: skip
        if units:
            width = round(100 * units / max(stage.units_in, 1), 3)
            parts.append(_Part(colour, round(left, 3), width))
            left += width
    return parts


def data_url(sheet: bytes | None) -> str | None:
    """A picture inside the page; None where there is none, or one too large."""
    if sheet is None or len(sheet) > MAX_SHEET_BYTES:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(sheet).decode("ascii")
