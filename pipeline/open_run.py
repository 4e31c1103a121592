"""A run's folder, for scripts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hardcut.engine.run_files import RunFiles
from hardcut.engine.status import RunStatus, read_status
from hardcut.pipeline.cache import Cache, cache_folder
from hardcut.pipeline.record_views import Records
from hardcut.schemas.base import Record
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Judgment, Review
from hardcut.schemas.records import Caption, Dropped, Evidence, Pair, Query, TeacherLabel, Video
from hardcut.schemas.settings import Settings

if TYPE_CHECKING:
    from hardcut.pipeline.open_dataset import ExportedDataset
    from hardcut.report.pair_page import Page

PathLike = str | Path
R = TypeVar("R", bound=Record)


class Run:
    """A run, finished or not. `hardcut.run` and `hardcut.open_run` return it. Records are read from the files at each
    call, so you see what another process has added.

    Examples:
        >>> run = hardcut.open_run("runs/first")  # doctest: +SKIP
        >>> run.pairs().to_pandas().groupby("expected").size()  # doctest: +SKIP
    """

    def __init__(self, folder: Path, cache: Cache) -> None:
        self.folder = folder
        self.cache = cache
        self._files = RunFiles(folder)

    @property
    def settings(self) -> Settings:
        """The settings in force. Raises UsageError where the run has not begun."""
        return load_settings(self.folder / "run.toml")

    def status(self) -> RunStatus:
        """What is done, dropped, failed and spent, stage by stage."""
        return read_status(self.folder)

    def videos(self) -> Records[Video]:
        """The videos of the collection."""
        return self.records(Video)

    def evidence(self) -> Records[Evidence]:
        """What was read, heard, measured or written about the videos."""
        return self.records(Evidence)

    def captions(self) -> Records[Caption]:
        """Descriptions of the videos, with their claims."""
        return self.records(Caption)

    def queries(self) -> Records[Query]:
        """The queries that teachers wrote, and the user's own."""
        return self.records(Query)

    def pairs(self) -> Records[Pair]:
        """Queries with the videos that are judged for them."""
        return self.records(Pair)

    def labels(self) -> Records[TeacherLabel]:
        """Teachers' verdicts on the pairs, with their margins."""
        return self.records(TeacherLabel)

    def judgments(self) -> Records[Judgment]:
        """The grades of the pairs, which training sees."""
        return self.records(Judgment)

    def reviews(self) -> Records[Review]:
        """People's answers about pairs."""
        return self.records(Review)

    def dropped(self) -> Records[Dropped]:
        """What stages left out, and why."""
        return self.records(Dropped)

    def records(self, kind: type[R]) -> Records[R]:
        """The records of any kind of `hardcut.schemas.catalogue`."""
        return Records(self._files, kind)

    def show(self, pair_id: str) -> Page:
        """A page with all that is known of a pair: frames, evidence, verdicts, judgment. A notebook shows it. `save`
        writes it to a file. Raises UsageError where the run has no such pair."""
        from hardcut.pipeline.run_report import sheets_of
        from hardcut.report.pair_page import pair_page

        return pair_page(self._files, pair_id, sheets_of(self.settings, self.cache))

    def report(self) -> Path:
        """The run's `report.html`, brought up to date."""
        from hardcut.pipeline.run_report import refresh_report

        return refresh_report(self.folder, self.settings, self.cache)

    def export(
        self,
        out: PathLike,
        *,
        settings: PathLike | None = None,
        allow: Collection[str] = (),
        media: PathLike | None = None,
        min_difficulty: float | None = None,
        like: PathLike | None = None,
        new_splits: bool = False,
    ) -> ExportedDataset:
        """Writes the dataset of a finished run to the folder `out`, which is replaced, and returns it.

        `settings` is a TOML file in place of the run's own settings. `allow` has findings of the gate to let be:
        `CHECK: ITEM because REASON`. `media` is the folder of the videos; then clips are packed if their licence
        allows it. `min_difficulty` leaves out queries of a lower measured difficulty.

        `like` is the version before, whose splits are kept: a dataset's folder, or "ORG/NAME@TAG" on the Hub; by
        default the dataset that is replaced. `new_splits` draws them anew. Raises UsageError for a run that is not
        finished.
        """
        from hardcut.pipeline.open_dataset import ExportedDataset
        from hardcut.pipeline.run_export import Choices, export_run

        config = Path(settings) if settings is not None else None
        clips = Path(media) if media is not None else None
        choices = Choices(config, tuple(allow), clips, min_difficulty, like, new_splits)
        export_run(self.folder, Path(out), choices)
        return ExportedDataset(Path(out))

    def __repr__(self) -> str:
        return f"<run {self.folder}>"


def open_run(folder: PathLike, *, cache: PathLike | None = None) -> Run:
    """Opens the run in a folder, finished or not, and starts nothing. `cache` is the folder of its frames (default: the
    user's cache folder). Raises UsageError where there is no run."""
    path = Path(folder)
    if not (path / "run.toml").is_file():
        raise UsageError(f"{path}: no run is there: hardcut.run(VIDEOS, {str(path)!r}) makes one")
    return Run(path, cache_folder(Path(cache) if cache is not None else None))
