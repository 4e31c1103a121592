"""`report.html`: one file that shows a run, needs neither network nor script, and trusts nothing that it shows."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut import __version__
from hardcut.engine.status import RunStatus, StageStatus, read_status
from hardcut.media.sheet import clock_time
from hardcut.report.hardness import Measure, reasons
from hardcut.report.plots.margins import histogram, place, time_ticks
from hardcut.report.review_file import read_review
from hardcut.report.run_data import KINDS, LISTED, PAIRS_PER_EXAMPLE, Example, ReportData, read_report_data
from hardcut.schemas.catalogue import RECORDS
from hardcut.schemas.errors import StorageError
from hardcut.schemas.filters import FILTERS
from hardcut.schemas.records import QueryKind, Video
from hardcut.schemas.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

_KINDS: Mapping[QueryKind, str] = {
    "event": "Something happens, is shown or is said.",
    "temporal": "Two things, and the order in which they come or the way in which they go.",
    "negation": "Something is there, and something else must not be.",
    "composed": "A reference video, and what is to be different from it.",
    "multi_hop": "Two modalities have to be put together.",
    "moment": "One stretch of the video, where it is.",
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
    told: str
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class _Filter:
    name: str
    told: str
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
    text = render(run, sheets, read_status(run), settings, measure)
    beside = out.with_name(f".{out.name}.writing")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(out)
    except OSError as error:
        raise StorageError(f"{out}: cannot be written ({error.strerror})") from error


def render(run: Path, sheets: Sheets, status: RunStatus, settings: Settings, measure: Measure) -> str:
    """The page's text."""
    found, thresholds = read_report_data(run), settings.judgments
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
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
    for name, told in FILTERS.items():
        by_stage = [(stage, counts[name]) for stage, counts in sorted(found.dropped.items()) if counts[name]]
        count = sum(number for _, number in by_stage)
        unit = "pairs" if any(stage == "judgments" for stage, _ in by_stage) else "queries"
        rows.append(_Filter(name, told, bool(switches.get(name, True)), count, unit if count else ""))
    return rows


def _tiles(found: ReportData, status: RunStatus) -> list[_Tile]:
    count = found.records
    relevant = sum(number for (_, grade), number in found.grades.items() if grade > 0)
    people = sum(number for (source, _), number in found.grades.items() if source in ("human", "adjudicated"))
    failed = sum(stage.failed for stage in status.stages)
    return [
        _Tile("videos", f"{count['videos']:,}", f"{_length(found.seconds)} in all"),
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


def style_sheet() -> str:
    """The style of the report, for other pages of Hardcut's."""
    return environment().get_template("style.css.jinja").render()


def environment() -> Environment:
    """Jinja that escapes every value for HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("hardcut.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters.update(
        clip=_clip, clock=clock_time, thousands=lambda number: f"{number:,}", byname=_by_count, filename=_file_name
    )
    return environment


def _clip(text: str, limit: int) -> str:
    """At most `limit` characters, and how many were cut."""
    return text if len(text) <= limit else f"{text[:limit].rstrip()} … ({len(text) - limit:,} more characters)"


def _visible(text: str) -> str:
    """Text without what a page must not hold: control characters, lone surrogates, marks that turn text round."""
    return "".join("\ufffd" if _is_hidden(char) else char for char in text)


def _is_hidden(char: str) -> bool:
    return char in _BIDI or (unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t")


_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def _file_name(kind: str) -> str:
    """`queries` for `Query`: what people see of a kind of record is its file."""
    return next((record.FILE.removesuffix(".jsonl") for record in RECORDS if record.__name__ == kind), kind)


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
