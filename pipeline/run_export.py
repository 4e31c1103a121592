"""Exports a run as a dataset, or in a format of other projects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardcut.annotate.records import read_run
from hardcut.annotate.review_quality import assess_reviews
from hardcut.engine.run_files import RunFiles
from hardcut.engine.scratch import scratch_folder
from hardcut.engine.status import read_status
from hardcut.pipeline.stages import card_steps
from hardcut.publish._folder import MARKER
from hardcut.publish.checks.result import CheckResult
from hardcut.publish.dataset import Dataset
from hardcut.publish.export_dataset import ExportOptions, ExportSummary
from hardcut.publish.export_dataset import export as write_dataset
from hardcut.publish.formats.registry import convert
from hardcut.publish.gate import check, gate_settings, refuse_damaged
from hardcut.report.statistics.agreement import Agreement, agreement, blind_answers
from hardcut.report.statistics.audit import TeacherEstimate
from hardcut.schemas.config import load_settings
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Review

_ON_THE_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<tag>[\w./-]+)")


@dataclass(frozen=True, slots=True)
class Choices:
    """How a run is exported. `media` is the folder of the videos; then clips that may be passed on are packed.

    `like` is the dataset of the version before, whose splits are kept: its folder, or ORG/NAME@TAG on the Hub. Where
    none is named it is the dataset that is replaced, if there is one. `new_splits`: there is none.

    `videos`, for the formats of others: the folder of the videos. Paths are absolute then. `vectors`: those of the
    queries, for splits and gate.
    """

    config: Path | None = None
    allow: tuple[str, ...] = ()
    media: Path | None = None
    min_difficulty: float | None = None
    like: Path | str | None = None
    new_splits: bool = False
    videos: Path | None = None
    vectors: Path | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """The rows by file of another format, how much it has no place for, by what and why, and the gate's answers about
    the dataset behind it."""

    rows: Mapping[str, int]
    left_out: Mapping[str, int]
    gate: Sequence[CheckResult]


def export_run(run: Path, out: Path, choices: Choices = Choices()) -> ExportSummary:
    """Writes the dataset of a finished run, with the run's own settings unless `choices` has others.

    Raises UsageError for a run that is missing or not finished, and for a version before that is no dataset; HubError
    where the Hub does not give it.
    """
    if (run / MARKER).is_file():
        raise UsageError(f"{run} is a dataset already: name its run, or another format for it with --format")
    status = read_status(run)
    if not status.finished:
        waiting = ", ".join(stage.name for stage in status.stages if not stage.finished)
        raise UsageError(f"{run}: the run is not finished ({waiting}): start `hardcut run` again to finish it")
    settings = load_settings(choices.config or run / "run.toml", _overrides(choices))
    failed = {stage.name: stage.failed for stage in status.stages}
    with _version_before(choices) as like:
        options = ExportOptions(
            choices.allow, choices.media, like, choices.new_splits, _agreement(run), _teachers(run), card_steps()
        )
        return write_dataset(run, out, settings, failed, options)


def export_as(format: str, run: Path, out: Path, choices: Choices) -> Converted:
    """A format of others, out of a dataset or of a run. The gate looks at either; what was allowed when the dataset
    was exported stays so. Raises DamagedDataset, with file and column, for one that was altered."""
    if choices.media is not None:
        raise UsageError(f"--with-media: clips are packed into datasets; {format} takes the folder by --videos")
    if not (run / MARKER).is_file():
        with scratch_folder() as folder:
            dataset = Dataset(folder / "dataset")
            gate = export_run(run, dataset.folder, choices).gate
            written = convert(dataset, format, out, choices.videos)
            return Converted(written.rows, written.left_out, gate)
    if choices.min_difficulty is not None:
        raise UsageError(f"--min-difficulty: {run} is a dataset already: export its run again with it")
    if choices.like is not None:
        raise UsageError(f"--like: {run} is a dataset already: export its run again with it")
    if choices.new_splits:
        raise UsageError(f"--new-splits: {run} is a dataset already: export its run again with it")
    dataset = Dataset(run)
    dataset.refuse_altered()
    settings = load_settings(choices.config or gate_settings(dataset), _overrides(choices))
    gate = check(dataset, settings, choices.allow)
    refuse_damaged(gate)
    written = convert(dataset, format, out, choices.videos)
    return Converted(written.rows, written.left_out, gate)


def _overrides(choices: Choices) -> dict[str, Any]:
    vectors = str(choices.vectors) if choices.vectors is not None else None
    return {"export.min_difficulty": choices.min_difficulty, "check.vectors": vectors}


@contextmanager
def _version_before(choices: Choices) -> Iterator[Path | None]:
    """The folder of the version before that is named; one on the Hub is fetched, and gone when the block ends."""
    like = choices.like
    if like is None:
        yield None
    elif choices.new_splits:
        raise UsageError("--like and --new-splits: the one keeps splits, the other draws them; give one of them")
    elif Path(like).exists() or not (found := _ON_THE_HUB.fullmatch(str(like))):
        yield Path(like)
    else:
        from hardcut.publish.hub import pull

        with scratch_folder() as folder:
            yield pull(found["name"], folder / "dataset", found["tag"]).dataset.folder


def _agreement(run: Path) -> Agreement | None:
    files = RunFiles(run)
    return agreement(blind_answers(files.read(Review))) if files.has(Review) else None


def _teachers(run: Path) -> Sequence[TeacherEstimate]:
    """How good each teacher is, by pairs that were drawn by chance and judged by people; empty where none were."""
    return assess_reviews(read_run(run)).teachers if RunFiles(run).has(Review) else ()
