"""What an evaluation says, as `hardcut evaluate --json` prints it."""

from __future__ import annotations

from hardcut.report.statistics.calibration import Calibration
from hardcut.report.statistics.significance import Mean
from hardcut.schemas.base import Frozen


class PriorResult(Frozen):
    """R2 of the scores from what is no reason for a score, out of fold; null where that cannot be told, with why.
    `video_only` is fitted on `video_pairs` pairs of `videos` videos, each scored for enough queries; `query_only` on
    `pairs` pairs of whole queries."""

    pairs: int
    video_pairs: int
    videos: int
    video_only: float | None
    query_only: float | None
    note: str = ""


class BlockPasses(Frozen):
    """Blocks of one change: of those whose two queries the run scored on their video (`scored` of `blocks`), how many
    have the answered one higher (chance: one half), with a 95 % interval (Wilson). Of the blocks with a mirror, those
    scored on both videos and those that pass both ways on both (chance: one sixth), with theirs. A tie is no pass.
    `text_alone` is how often the texts by themselves tell the sides."""

    blocks: int
    scored: int
    passed: int
    interval: tuple[float, float]
    mirrored: int
    mirrored_passed: int
    mirrored_interval: tuple[float, float]
    text_alone: float | None

    @property
    def rate(self) -> float | None:
        """The share of those scored that passed; None where none was."""
        return self.passed / self.scored if self.scored else None

    @property
    def share_scored(self) -> float:
        return self.scored / self.blocks


class Diagnostic(Frozen):
    """The diagnostic set of the splits that are evaluated, by what the two queries of a block differ in, and all of it
    under "all". `splits` is empty where the dataset does not know the qrels' queries: then it is of all splits."""

    splits: tuple[str, ...]
    changes: dict[str, BlockPasses]


class Ties(Frozen):
    """How much hangs on ties: queries of which two that score alike compete for one of the first 10 places, and each
    measure with all ties broken in the worst and in the best order."""

    queries: int
    ranges: dict[str, tuple[float, float]]


class RunResult(Frozen):
    """One run. `slices`: the first measure by facet (kind, language, ...) and its value. `lacking`: queries of the
    qrels that the run lacks, counted as 0; `unjudged`: queries of the run that the qrels lack, passed over. `apart`: a
    video of the run and one of the qrels, where they have no video in common. `ties`: null where no two of a query
    score alike."""

    name: str
    measures: dict[str, Mean]
    slices: dict[str, dict[str, Mean]]
    lacking: tuple[str, ...]
    unjudged: int
    apart: tuple[str, str] | None
    ties: Ties | None
    calibration: Calibration | None
    calibration_note: str
    unleaked: Mean | None
    prior: PriorResult
    diagnostic: Diagnostic | None


class MeasureDifference(Frozen):
    """A run minus the first run, over the same queries: mean with interval, p-value, queries won, lost and equal.
    `p_holm` is the p-value corrected for all that an evaluation tests."""

    measure: str
    difference: Mean
    p_value: float
    p_holm: float
    won: int
    lost: int
    equal: int


class Comparison(Frozen):
    """A run against the first. `relative`: the gain of the first measure as a share of the first run's. `slices`: the
    difference in the first measure by facet and its value."""

    run: str
    against: str
    relative: float | None
    measures: tuple[MeasureDifference, ...]
    slices: dict[str, dict[str, MeasureDifference]]


class QueryRow(Frozen):
    """One query: its text where it is known, the video that a composed one starts from, and the first measure of each
    run."""

    query_id: str
    text: str | None
    reference: str | None = None
    relevant: int
    values: dict[str, float]


class Evaluation(Frozen):
    """Everything that was measured. `measures[0]` is the one that slices and the query table are about. `leaked`:
    queries whose text a query of the split `train` has too."""

    rules: str
    measures: tuple[str, ...]
    queries: int
    without_relevant: int
    leaked: tuple[str, ...]
    runs: tuple[RunResult, ...]
    comparisons: tuple[Comparison, ...]
    per_query: tuple[QueryRow, ...]
