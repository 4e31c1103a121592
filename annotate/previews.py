"""The clips and contact sheets that reviewers look at: small files, made once, named by what they show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hardcut.engine.files import atomic_writer
from hardcut.engine.pool import WorkerPool
from hardcut.media.clip import cut
from hardcut.media.ingest import ingest
from hardcut.media.sheet import contact_sheet
from hardcut.media.store import sampling_digest
from hardcut.schemas.errors import DropItem, ItemError
from hardcut.schemas.ids import digest
from hardcut.schemas.records import Query, Span, Video
from hardcut.schemas.settings import MediaSettings, ReviewSettings

LEAST_SIDE = 160
"""Pixels on the longer side: with less nothing can be made out."""
SHEET_FRAMES = 12
SHEET_COLUMNS = 6
SHEET_WIDTH = 1200


@dataclass(frozen=True, slots=True)
class Window:
    """What of a video is cut out for a page, and the moment in it, where there is one; both in the video's time."""

    cut: Span
    moment: Span | None


@dataclass(frozen=True, slots=True)
class Preview:
    """The names of a pair's files in the media folder; None where it could not be made, and then why."""

    clip: str | None
    sheet: str | None
    note: str = ""
    reference: str | None = None


def window(query: Query, video: Video, settings: ReviewSettings, *, whole: bool) -> Window:
    """A short video whole; of a longer one the moment with some context, or its beginning where no moment is known.

    The moment is from the first to the last facet's span, which are known for the query's own source alone. So it tells
    that the two belong together: with `whole` the video is shown from its beginning to its end, and no moment.
    """
    if whole:
        return Window(Span(start=0, end=video.duration_s), None)
    spans = [facet.span for facet in query.facets if facet.span and query.source_video_id == video.video_id]
    moment = None
    if spans:
        end = min(max(span.end for span in spans), video.duration_s)
        moment = Span(start=min(min(span.start for span in spans), end), end=end)
    if video.duration_s <= settings.preview_s:
        return Window(Span(start=0, end=video.duration_s), moment)
    begins = max(0.0, moment.start - settings.context_s) if moment else 0.0
    ends = moment.end + settings.context_s if moment else settings.preview_s
    return Window(Span(start=begins, end=min(ends, begins + settings.preview_s, video.duration_s)), moment)


@dataclass(frozen=True, slots=True)
class Previews:
    """Makes previews into the folder `out`, from the videos under `root` and the frames in `store`."""

    root: Path
    store: Path
    out: Path
    media: MediaSettings
    review: ReviewSettings
    pool: WorkerPool
    limit_bytes: int | None = None
    """A clip that is larger is made smaller, down to `LEAST_SIDE`, until it is not; None: clips may have any size."""

    async def preview(
        self, query: Query, video: Video, reference: Video | None = None, *, whole: bool = False
    ) -> Preview:
        """The files of a pair, which are made unless they are there; of a `whole` video, or of the moment in it. A
        video that cannot be shown says why."""
        clip = sheet = beside = None
        try:
            sheet = await self._sheet(video)
            clip = await self._clip(video, window(query, video, self.review, whole=whole).cut)
            beside = await self._sheet(reference) if reference else None
        except (ItemError, DropItem) as error:
            return Preview(clip, sheet, error.detail)
        return Preview(clip, sheet, reference=beside)

    async def _sheet(self, video: Video) -> str:
        name = f"{digest(video.sha256, sampling_digest(self.media), SHEET_FRAMES)[:32]}.jpg"
        if not (out := self.out / name).exists():
            path = self._path(video)
            await self.pool.call(make_sheet, path, video.sha256, str(self.store), self.media, out)
        return name

    async def _clip(self, video: Video, span: Span) -> str:
        """The largest clip within the limit; if none is, the smallest that there is."""
        side = self.review.preview_side
        while True:
            name = f"{digest(video.sha256, [span.start, span.end], side)[:32]}.mp4"
            if not (out := self.out / name).exists():
                await self.pool.call(cut, self._path(video), span, str(out), side)
            if self.limit_bytes is None or side <= LEAST_SIDE or out.stat().st_size <= self.limit_bytes:
                return name
            side = max(side // 2, LEAST_SIDE)

    def _path(self, video: Video) -> str:
        """Where the video is. Raises ItemError where that is outside of the collection's folder."""
        path = (self.root / video.path).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise ItemError("outside", f"{video.path} leads out of the folder of the videos")
        return str(path)


def make_sheet(path: str, sha256: str, store: str, settings: MediaSettings, out: Path) -> None:
    """Writes the contact sheet of a video out of its stored frames. Runs in a worker. Raises ItemError as `ingest`, and
    where the file is another one by now."""
    found = ingest(path, store, settings)
    if found.probe.sha256 != sha256:
        raise ItemError("changed", "the video's file is another one than when the run was made: run it again")
    with atomic_writer(out, "wb") as file:
        file.write(contact_sheet(found.frames.spread(SHEET_FRAMES), SHEET_COLUMNS, SHEET_WIDTH))
