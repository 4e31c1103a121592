"""What an evaluation says, as `hardcut evaluate --json` prints it."""

from __future__ import annotations

from hardcut.report.statistics.calibration import Calibration
from hardcut.report.statistics.significance import Mean
from hardcut.schemas.base import Frozen


class PriorResult(Frozen):
    """R2 of the scores from what is no reason for a score, out of fold; null where that cannot be told, with why."""

    pairs: int
    video_only: float | None
    query_only: float | None
    note: str = ""


class BlockPasses(Frozen):
    """Blocks of one change: those whose answered query scores above the other on their video (chance: one half), with
    a 95 % interval; and those with a mirror that pass both ways on both videos (chance: one sixth). A tie is no pass,
    and neither is what the run did not score. `text_alone` is how often the texts by themselves tell the sides."""

    blocks: int
    scored: int
    passed: int
    interval: tuple[float, float]
    mirrored: int
    mirrored_passed: int
    text_alone: float | None

    @property
    def rate(self) -> float:
        return self.passed / self.blocks


class Diagnostic(Frozen):
    """The diagnostic set by what the two queries of a block differ in, and all of it under "all"."""

    changes: dict[str, BlockPasses]


class Ties(Frozen):
    """How much hangs on ties: queries of which two that score alike compete for one of the first 10 places, and each
    measure with all ties broken in the worst and in the best order."""

    queries: int
    ranges: dict[str, tuple[float, float]]


class RunResult(Frozen):
    """One run. `slices`: the first measure by facet (kind, language, ...) and its value. `lacking`: queries of the
    qrels that the run lacks, counted as 0; `unjudged`: queries of the run that the qrels lack, passed over. `ties`:
    null where no two of a query score alike."""

    name: str
    measures: dict[str, Mean]
    slices: dict[str, dict[str, Mean]]
    lacking: tuple[str, ...]
    unjudged: int
    ties: Ties | None
    calibration: Calibration | None
    calibration_note: str
    prior: PriorResult
    diagnostic: Diagnostic | None


class MeasureDifference(Frozen):
    """A run minus the first run, over the same queries: mean with interval, p-value, queries won, lost and equal."""

    measure: str
    difference: Mean
    p_value: float
    won: int
    lost: int
    equal: int


class Comparison(Frozen):
    """A run against the first. `relative`: the gain of the first measure as a share of the first run's."""

    run: str
    against: str
    relative: float | None
    measures: tuple[MeasureDifference, ...]


class QueryRow(Frozen):
    """One query: its text where it is known, and the first measure of each run."""

    query_id: str
    text: str | None
    relevant: int
    values: dict[str, float]


class Evaluation(Frozen):
    """Everything that was measured. `measures[0]` is the one that slices, comparisons and the query table are about."""

    rules: str
    measures: tuple[str, ...]
    queries: int
    without_relevant: int
    runs: tuple[RunResult, ...]
    comparisons: tuple[Comparison, ...]
    per_query: tuple[QueryRow, ...]
