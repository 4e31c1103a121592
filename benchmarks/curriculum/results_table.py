"""What the arms gave, as figures and as the table of the docs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.curriculum.stories import KINDS
from benchmarks.curriculum.twins import chiral, negated
from benchmarks.curriculum.world import Part
from hardcut.report.statistics.agreement import share_interval
from hardcut.report.statistics.significance import Mean, mean, randomisation_test
from hardcut.reranker.measures import ndcg_per_query
from hardcut.schemas.trec import Run, ranking

FIRST, CHANCE, PERFECT = "first stage", "its candidates, in random order", "its candidates, in the best order"
SHALLOW = 10


def figures(part: Part, run: Run) -> dict[str, Any]:
    """nDCG@10 of a run over the test split, whole and by kind, its gain over the first stage, and the twins; the same
    with the best `SHALLOW` candidates reranked, and the others below them as the first stage has them."""
    shallow = {query: cut(part.first[query], scores, SHALLOW) for query, scores in run.items()}
    return {**_figures(part, run), "shallow": _figures(part, shallow)}


def cut(first: Mapping[str, float], reranked: Mapping[str, float], depth: int) -> dict[str, float]:
    """A query's run whose first `depth` candidates are reranked."""
    order = ranking(first)
    least = min(reranked.values())
    below = {video: least - place for place, video in enumerate(order[depth:], 1)}
    return {video: reranked[video] for video in order[:depth]} | below


def best(part: Part) -> Run:
    """The first stage's candidates as their grades would have them."""
    return {
        query: {video: float(grade) for video, grade in grades.items()} for query, grades in part.candidates.items()
    }


def _figures(part: Part, run: Run) -> dict[str, Any]:
    ours, first = ndcg_per_query(part.qrels, run), ndcg_per_query(part.qrels, part.first)
    gains = [ours[query] - first[query] for query in ours]
    kinds = {kind: [ours[query] for query, asked in part.queries.items() if asked.kind == kind] for kind in KINDS}
    return {
        "ndcg": _told(mean(list(ours.values()))),
        "kinds": {kind: _told(mean(values)) for kind, values in kinds.items()},
        "relative_gain": round(sum(ours.values()) / sum(first.values()) - 1, 4),
        "gain": _told(mean(gains)),
        "p_value": round(randomisation_test(gains), 4),
        "chiral": _told(chiral(part, run)),
        "negated": _told(negated(part, run)),
    }


def shares(passes: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    """By change: the share of blocks whose answered side scores higher, with its 95 % interval (Wilson)."""
    found = {}
    for change, won in passes.items():
        low, high = share_interval(sum(won), len(won))
        found[change] = {"rate": round(sum(won) / len(won), 4), "low": round(low, 4), "high": round(high, 4)}
        found[change]["blocks"] = len(won)
    return found


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The table in Markdown: nDCG@10 with its interval by kind; the columns of twins have chance at one half."""
    head = ["", "nDCG@10", "gain", *KINDS, "answer above its reverse", "answer above what is negated"]
    head += [f"nDCG@10, {SHALLOW} reranked", "gain"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, row in rows.items():
        cells = [name, _cell(row["ndcg"]), f"{row['relative_gain']:+.0%}"]
        cells += [_cell(row["kinds"].get(kind)) for kind in KINDS] + [_cell(row["chiral"]), _cell(row["negated"])]
        cells += [_cell(row["shallow"]["ndcg"]), f"{row['shallow']['relative_gain']:+.0%}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _told(value: Mean) -> dict[str, Any]:
    return {name: each if each is None or name == "queries" else round(each, 4) for name, each in value}


def _cell(value: Mapping[str, Any] | None) -> str:
    if value is None or value["mean"] is None:
        return "-"
    return f"{value['mean']:.3f} ({value['low']:.3f}-{value['high']:.3f})"
