"""The page of a diagnosis: a table of what was looked at, and a picture of each finding. One file without network or
script, which trusts nothing that it shows."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hardcut.report.templates import html_template, write_page
from hardcut.reranker.diagnosis.findings import FEWEST, Diagnosis, Figure
from hardcut.reranker.diagnosis.folder import Made, strip_of
from hardcut.reranker.diagnosis.trials import PairIds
from hardcut.schemas.trec import Run

EXAMPLES = 2
"""Trials that are shown of a finding, the most telling ones."""
_BARS = 200
_TALL = 50


@dataclass(frozen=True, slots=True)
class Bar:
    """A trial's value: place and width in percent, height in pixels, and whether it is above 0."""

    left: float
    width: float
    height: float
    above: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """One of the two pairs of a version: what is asked, what is shown, and the score."""

    role: str
    query: str
    score: float | None
    picture: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A version of a trial, with both of its pairs."""

    version: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with its picture: a bar for each trial, and some trials seen whole."""

    run: str
    figure: Figure
    bars: tuple[Bar, ...]
    examples: tuple[tuple[Shown, ...], ...]


def write_diagnosis(made: Made, diagnoses: Sequence[Diagnosis], runs: Mapping[str, Run], out: Path) -> None:
    """Writes the page. Raises StorageError where `out` cannot be written."""
    write_page(out, render(made, diagnoses, runs))


def render(made: Made, diagnoses: Sequence[Diagnosis], runs: Mapping[str, Run]) -> str:
    """The page's text."""
    found = [
        Found(of.name, figure, _bars(figure.margins), _examples(made, figure, runs[of.name]))
        for of in diagnoses
        for figure in of.findings
    ]
    names = list(dict.fromkeys(figure.name for of in diagnoses for figure in of.figures))
    figures = {of.name: {figure.name: figure for figure in of.figures} for of in diagnoses}
    return html_template("hardcut.reranker.diagnosis", "diagnosis.html.jinja").render(
        diagnoses=diagnoses,
        names=names,
        figures=figures,
        found=found,
        left_out=len(made.left_out),
        plan=made.plan,
        fewest=FEWEST,
    )


def _bars(margins: Sequence[float]) -> tuple[Bar, ...]:
    shown = list(margins) if len(margins) <= _BARS else [margins[at * len(margins) // _BARS] for at in range(_BARS)]
    tallest = max((abs(value) for value in shown), default=0.0) or 1.0
    width = 100 / max(1, len(shown))
    return tuple(
        Bar(round(at * width, 3), round(width * 0.9, 3), round(_TALL * abs(value) / tallest, 2), value > 0)
        for at, value in enumerate(shown)
    )


def _examples(made: Made, figure: Figure, run: Run) -> tuple[tuple[Shown, ...], ...]:
    pictures: dict[str, str | None] = {}

    def picture(video: str) -> str | None:
        if video not in pictures:
            pictures[video] = _data_url(strip_of(made.folder, video))
        return pictures[video]

    def pair(role: str, of: PairIds) -> Pair:
        return Pair(role, made.plan.queries[of.query], run.get(of.query, {}).get(of.video), picture(of.video))

    return tuple(
        tuple(
            Shown(name, (pair("should score higher", of.right), pair("should score lower", of.wrong)))
            for name, of in made.plan.trials[place].versions.items()
        )
        for place in figure.trials[:EXAMPLES]
    )


def _data_url(path: Path) -> str | None:
    try:
        return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError:
        return None
