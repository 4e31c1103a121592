"""Fits teachers' margins to the pairs that people judged."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hardcut.annotate.records import read_run
from hardcut.annotate.review_quality import blind_truth
from hardcut.engine.files import atomic_writer
from hardcut.engine.run_files import RunFiles
from hardcut.report.plots.reliability import reliability_diagram
from hardcut.report.statistics.calibration import CALIBRATION_FILE, Calibration, JudgedPair, calibrate
from hardcut.reranker.margins import Margins, mixing
from hardcut.schemas.errors import UsageError
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Query, TeacherLabel
from hardcut.teacher.names import book_name

_SOURCES = frozenset({"human", "adjudicated", "gold", "imported"})
"""Judgments that no teacher made."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The calibration of each teacher, the file that keeps them, and a diagram of each. `mixed` tells of margins of one
    teacher that were made in different ways (`reranker/margins.py`)."""

    teachers: list[Calibration]
    file: Path
    diagrams: list[Path]
    mixed: str | None = None


def calibrate_run(run: Path, *, blind: bool) -> Calibrated:
    """Writes `calibration.json` and a diagram for each teacher into the run's folder.

    With `blind` only answers count that people gave without a teacher's verdict, since a verdict influences them.
    Raises UsageError where too little was judged.
    """
    margins = Margins()
    found = [calibrate(teacher, pairs, left_out) for teacher, pairs, left_out in _judged(run, blind, margins)]
    with atomic_writer(run / CALIBRATION_FILE) as file:
        data = {"teachers": [each.model_dump(mode="json") for each in found]}
        json.dump(data, file, indent=2, ensure_ascii=False, sort_keys=True)
        file.write("\n")
    diagrams = [run / f"calibration{f'-{number}' if number else ''}.svg" for number in range(len(found))]
    for path, each in zip(diagrams, found, strict=True):
        with atomic_writer(path) as file:
            file.write(reliability_diagram(each))
    return Calibrated(found, run / CALIBRATION_FILE, diagrams, mixing(margins))


def thresholds_of(found: Calibration) -> Mapping[str, float | None]:
    """The settings that these judgments support. Only the user changes settings."""
    return {"trusted_below": found.trusted_below, "suspected_above": found.suspected_above}


def _truth(run: Path, blind: bool) -> dict[str, bool]:
    """Whether each pair that people judged is relevant."""
    if blind:
        return blind_truth(read_run(run))
    return {
        judgment.pair_id: judgment.grade > 0 for judgment in RunFiles(run).read(Judgment) if judgment.source in _SOURCES
    }


def _judged(run: Path, blind: bool, margins: Margins) -> list[tuple[str, list[JudgedPair], int]]:
    """The pairs of each teacher that people judged, sorted by pair, and how many have no exact margin. Notes in
    `margins` how the others were made."""
    truth = _truth(run, blind)
    if not truth:
        raise UsageError(
            f"{run}: no pair was judged by people: review some (`hardcut review`), or run with judgments of your own"
        )
    kinds = {query.query_id: query.kind for query in RunFiles(run).read(Query)}
    judged: defaultdict[str, list[tuple[str, JudgedPair]]] = defaultdict(list)
    left_out: defaultdict[str, int] = defaultdict(int)
    for label in RunFiles(run).read(TeacherLabel):
        if label.pair_id not in truth or label.input != "full":
            continue
        name = book_name(label.teacher)
        if not label.exact or label.logit_margin is None:
            left_out[name] += 1
            continue
        pair = JudgedPair(
            label.query_id, kinds.get(label.query_id, "unknown"), label.logit_margin, truth[label.pair_id]
        )
        judged[name].append((label.label_id, pair))
        margins.note(label.label_id, name, label.shown)
    pairs = {name: [pair for _, pair in sorted(found, key=lambda item: item[0])] for name, found in judged.items()}
    usable = {name: found for name, found in pairs.items() if len({pair.relevant for pair in found}) == 2}
    if not usable:
        raise UsageError(
            f"{run}: {len(truth)} pairs were judged by people, but no teacher has exact margins on both relevant and "
            "irrelevant ones: review more pairs"
        )
    return [(name, usable[name], left_out[name]) for name in sorted(usable)]
