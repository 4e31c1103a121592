"""The page of an evaluation: one file that needs neither network nor script, and trusts nothing that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hardcut.report.plots.reliability import reliability_diagram
from hardcut.report.statistics.significance import Mean
from hardcut.report.templates import html_template, write_page
from hardcut.reranker.results import Comparison, Evaluation, QueryRow

if TYPE_CHECKING:
    from markupsafe import Markup

LISTED = 10
"""Queries that are listed of those won and of those lost."""
_BARS = 400
"""Queries that the plot of differences shows at most, spread evenly."""


@dataclass(frozen=True, slots=True)
class Whisker:
    """A mean with its interval on an axis from 0 to 1, in percent of its width."""

    name: str
    mean: Mean
    low: float
    at: float
    high: float


@dataclass(frozen=True, slots=True)
class Step:
    """One query's difference: place and width in percent, height in percent of half the plot."""

    left: float
    width: float
    height: float
    won: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A query and what the first measure of it was before and is now."""

    query: QueryRow
    before: float
    after: float

    @property
    def difference(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Versus:
    """A comparison with the queries that it won and lost most on, and all differences in their order."""

    comparison: Comparison
    won: tuple[Change, ...]
    lost: tuple[Change, ...]
    steps: tuple[Step, ...]


def write_evaluation(evaluation: Evaluation, out: Path) -> None:
    """Writes the page. Raises StorageError where `out` cannot be written."""
    write_page(out, render(evaluation))


def render(evaluation: Evaluation) -> str:
    """The page's text."""
    from markupsafe import Markup

    diagrams: dict[str, Markup] = {
        run.name: Markup(reliability_diagram(run.calibration)) for run in evaluation.runs if run.calibration
    }
    return html_template("hardcut.reranker", "evaluation.html.jinja").render(
        evaluation=evaluation,
        whiskers={measure: _whiskers(evaluation, measure) for measure in evaluation.measures},
        slices=_slices(evaluation),
        versus=[versus(evaluation, comparison) for comparison in evaluation.comparisons],
        diagrams=diagrams,
    )


def versus(evaluation: Evaluation, comparison: Comparison) -> Versus:
    """The queries of a comparison by how much they changed; ties in the order of ids."""
    changes = [Change(row, row.values[comparison.against], row.values[comparison.run]) for row in evaluation.per_query]
    changes.sort(key=lambda change: -change.difference)
    shown = changes if len(changes) <= _BARS else [changes[at * len(changes) // _BARS] for at in range(_BARS)]
    width = 100 / max(1, len(shown))
    tallest = max((abs(change.difference) for change in shown), default=0.0) or 1.0
    steps = tuple(
        Step(
            round(at * width, 3),
            round(width, 3),
            round(100 * abs(change.difference) / tallest, 2),
            change.difference > 0,
        )
        for at, change in enumerate(shown)
    )
    won = tuple(change for change in changes if change.difference > 0)[:LISTED]
    lost = tuple(change for change in reversed(changes) if change.difference < 0)[:LISTED]
    return Versus(comparison, won, lost, steps)


def _whiskers(evaluation: Evaluation, measure: str) -> list[Whisker]:
    return [_whisker(run.name, run.measures[measure]) for run in evaluation.runs]


def _slices(evaluation: Evaluation) -> dict[str, dict[str, list[Whisker]]]:
    """Whiskers of every run by facet and value."""
    return {
        facet: {part: [_whisker(run.name, run.slices[facet][part]) for run in evaluation.runs] for part in parts}
        for facet, parts in evaluation.runs[0].slices.items()
    }


def _whisker(name: str, mean: Mean) -> Whisker:
    low, at, high = (round(100 * min(1.0, max(0.0, value or 0.0)), 2) for value in (mean.low, mean.mean, mean.high))
    return Whisker(name, mean, low, at, high)
