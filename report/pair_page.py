"""A page of one pair: query, video, verdicts of teachers and answers of people."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.run_files import RunFiles
from hardcut.report.run_page import Sheets, data_url
from hardcut.report.templates import html_template, write_page
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Caption, Dropped, Evidence, Pair, Query, TeacherLabel, Video

LINES = 200
"""Lines of evidence that a page shows at most."""
_HEIGHT = 640


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page of HTML that needs neither network nor script. A notebook shows it in a frame."""

    html: str

    def save(self, path: str | Path) -> Path:
        """Writes the page to a file and returns it. Raises StorageError where that fails."""
        out = Path(path)
        write_page(out, self.html)
        return out

    def _repr_html_(self) -> str:
        """For notebooks. The frame separates the style of the page from the notebook, and runs no script."""
        inside = html.escape(self.html, quote=True)
        return f'<iframe sandbox style="width:100%;height:{_HEIGHT}px;border:0" srcdoc="{inside}"></iframe>'

    def __repr__(self) -> str:
        return f"<page of {len(self.html):,} characters: show it in a notebook, or save it>"


def pair_page(files: RunFiles, pair_id: str, sheets: Sheets) -> Page:
    """The page of a pair. Everything that comes from outside is escaped. Raises UsageError for a pair that is not
    there."""
    pair = next((each for each in files.read(Pair) if each.pair_id == pair_id), None)
    if pair is None:
        raise UsageError(f"{files.path(Pair)}: there is no pair {pair_id!r}: run.pairs() has them all")
    query = next((each for each in files.read(Query) if each.query_id == pair.query_id), None)
    wanted = {pair.video_id, *([query.reference_video_id] if query and query.reference_video_id else [])}
    videos = {video.video_id: video for video in files.read(Video) if video.video_id in wanted}
    evidence = [line for line in files.read(Evidence) if line.video_id == pair.video_id]
    evidence.sort(key=lambda line: (line.span.start if line.span else -1.0, line.kind, line.evidence_id))
    reference = videos.get(query.reference_video_id or "") if query else None
    text = html_template("hardcut.report", "pair.html.jinja").render(
        pair=pair,
        query=query,
        video=videos.get(pair.video_id),
        reference=reference,
        caption=next((each for each in files.read(Caption) if each.video_id == pair.video_id), None),
        evidence=evidence[:LINES],
        evidence_total=len(evidence),
        labels=[label for label in files.read(TeacherLabel) if label.pair_id == pair_id],
        judgment=next((each for each in files.read(Judgment) if each.pair_id == pair_id), None),
        reviews=[review for review in files.read(Review) if review.pair_id == pair_id],
        left_out=[each for each in files.read(Dropped) if each.item == pair_id],
        sheet_of=lambda video: data_url(sheets(video)),
    )
    return Page(text)
