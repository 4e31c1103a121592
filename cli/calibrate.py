"""`hardcut calibrate`: what a teacher's margins are worth, fitted on the pairs that people judged."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from rich.table import Table

from hardcut.annotate.records import read_run
from hardcut.annotate.report import blind_truth
from hardcut.cli.terminal import output
from hardcut.engine.files import atomic_writer
from hardcut.schemas.errors import UsageError
from hardcut.schemas.jsonl import read_records
from hardcut.schemas.judgments import Judgment
from hardcut.schemas.records import Query, TeacherLabel
from hardcut.teacher.cached import book_name
from hardcut.teacher.calibration import (
    CALIBRATION_FILE,
    Calibration,
    Figures,
    JudgedPair,
    calibrate,
    reliability_diagram,
)

_SOURCES = frozenset({"human", "adjudicated", "gold", "imported"})
"""Judgments that no teacher made."""


def calibrate_run(run: Path, *, blind: bool, as_json: bool) -> int:
    """Writes `calibration.json` and a diagram for each teacher into the run's folder and prints the figures.

    `blind`: of what people said only what they said without seeing a teacher's verdict, which draws answers towards it.
    Raises UsageError where too little was judged.
    """
    found = [calibrate(teacher, pairs, left_out) for teacher, pairs, left_out in _judged(run, blind)]
    data = {"teachers": [each.model_dump(mode="json") for each in found]}
    thresholds = {each.teacher: _thresholds(each) for each in found}
    with atomic_writer(run / CALIBRATION_FILE) as file:
        json.dump(data, file, indent=2, ensure_ascii=False, sort_keys=True)
        file.write("\n")
    diagrams = [run / f"calibration{f'-{number}' if number else ''}.svg" for number in range(len(found))]
    for path, each in zip(diagrams, found, strict=True):
        with atomic_writer(path) as file:
            file.write(reliability_diagram(each))
    if as_json:
        print(
            json.dumps(
                {
                    **data,
                    "thresholds": thresholds,
                    "file": str(run / CALIBRATION_FILE),
                    "diagrams": list(map(str, diagrams)),
                },
                ensure_ascii=False,
            )
        )
        return 0
    console = output()
    for path, each in zip(diagrams, found, strict=True):
        console.print(_table(each))
        for name, value in _thresholds(each).items():
            console.print(
                f"judgments.{name} = {'not known: too few judged' if value is None else format(value, '.2f')}"
            )
        console.print(f"diagram {path}", soft_wrap=True)
    console.print(f"written {run / CALIBRATION_FILE}: raw margins stay as they are", soft_wrap=True)
    return 0


def _thresholds(found: Calibration) -> dict[str, float | None]:
    """What the settings would be by these judgments; nobody changes them but the user."""
    return {"trusted_below": found.trusted_below, "suspected_above": found.suspected_above}


def _truth(run: Path, blind: bool) -> dict[str, bool]:
    """Whether each pair that people judged is relevant."""
    if blind:
        return blind_truth(read_run(run))
    return {
        judgment.pair_id: judgment.grade > 0
        for judgment in read_records(run / Judgment.FILE, Judgment)
        if judgment.source in _SOURCES
    }


def _judged(run: Path, blind: bool) -> list[tuple[str, list[JudgedPair], int]]:
    """The pairs of each teacher that people judged, sorted by pair, and how many have no exact margin."""
    truth = _truth(run, blind)
    if not truth:
        raise UsageError(
            f"{run}: no pair was judged by people: review some (`hardcut review`), or run with judgments of your own"
        )
    kinds = {query.query_id: query.kind for query in read_records(run / Query.FILE, Query)}
    judged: defaultdict[str, list[tuple[str, JudgedPair]]] = defaultdict(list)
    left_out: defaultdict[str, int] = defaultdict(int)
    for label in read_records(run / TeacherLabel.FILE, TeacherLabel):
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
    pairs = {name: [pair for _, pair in sorted(found, key=lambda item: item[0])] for name, found in judged.items()}
    usable = {name: found for name, found in pairs.items() if len({pair.relevant for pair in found}) == 2}
    if not usable:
        raise UsageError(
            f"{run}: {len(truth)} pairs were judged by people, but no teacher has exact margins on both relevant and "
            "irrelevant ones: review more pairs"
        )
    return [(name, usable[name], left_out[name]) for name in sorted(usable)]


def _table(found: Calibration) -> Table:
    title = f"{found.teacher}: temperature {found.temperature:.3g}"
    if found.left_out:
        title += f", {found.left_out} without an exact margin left out"
    table = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in ("kind", "pairs", "relevant", "AUC", "", "ECE", "Brier"):
        table.add_column(column, justify="right" if column not in ("kind", "") else "left")
    for kind, by_method in (("all", found.overall), *found.by_kind.items()):
        for method, figures in by_method.items():
            first = method == "raw"
            auc = "-" if figures.auc is None else f"{figures.auc:.3f}"
            head = (kind, str(figures.pairs), str(figures.relevant)) if first else ("", "", "")
            table.add_row(*head, auc, method, *_cells(figures))
    return table


def _cells(figures: Figures) -> tuple[str, str]:
    return f"{figures.ece:.3f}", f"{figures.brier:.3f}"
