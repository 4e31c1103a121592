"""What an arm gave over several seeds: every seed is another world, with other pairs of things held out, another
network and another order of training.

python -m benchmarks.curriculum.seeds [--size held-out] [--results FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.curriculum.results_table import FIRST

Row = Mapping[str, Any]
COLUMNS: Mapping[str, Callable[[Row, Row], float]] = {
    "first stage": lambda arm, first: first["ndcg"]["mean"],
    "nDCG@10": lambda arm, first: arm["ndcg"]["mean"],
    "gain": lambda arm, first: arm["relative_gain"],
    "negation": lambda arm, first: arm["kinds"]["negation"]["mean"],
    "temporal": lambda arm, first: arm["kinds"]["temporal"]["mean"],
    "answer above its reverse": lambda arm, first: arm["chiral"]["mean"],
    "answer above what is negated": lambda arm, first: arm["negated"]["mean"],
    "last measurement over the one before": lambda arm, first: _last_rise(arm),
}
LEVEL = 0.95


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval of the mean of so many seeds, two at least."""
    from scipy.stats import t

    half = t.ppf((1 + LEVEL) / 2, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return fmean(values) - half, fmean(values) + half


def table(results: Mapping[str, Row], size: str) -> str:
    """Per arm a row for each seed, and one for their mean with its interval."""
    lines = ["| arm | seed | " + " | ".join(COLUMNS) + " |", "|" + " --- |" * (len(COLUMNS) + 2)]
    of_size = sorted((each["settings"]["seed"], each) for name, each in results.items() if _is_of(name, size))
    arms = dict.fromkeys(arm for _, each in of_size for arm in each["arms"])
    for arm in arms:
        found = {
            seed: {name: value(each["arms"][arm], each["baselines"][FIRST]) for name, value in COLUMNS.items()}
            for seed, each in of_size
            if arm in each["arms"]
        }
        lines += [_line([arm, str(seed), *(f"{value:.3f}" for value in row.values())]) for seed, row in found.items()]
        if len(found) > 1:
            lines.append(
                _line([f"**{arm}**", "mean", *(_told([row[name] for row in found.values()]) for name in COLUMNS)])
            )
    return "\n".join(lines)


def _is_of(name: str, size: str) -> bool:
    return name.startswith(f"{size}-") and name.removeprefix(f"{size}-").isdigit()


def _told(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{fmean(values):.3f} ({low:.3f} to {high:.3f})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _last_rise(arm: Row) -> float:
    """By how much the last measurement of stage 2 is above the one before it."""
    *_, before, last = arm["stages"]["ranking"]["course"].values()
    return float(last - before)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curriculum.seeds", description=__doc__)
    parser.add_argument("--size", default="held-out")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent.parent / "results" / "curriculum.json")
    asked = parser.parse_args()
    print(table(json.loads(asked.results.read_text("utf-8")), asked.size))


if __name__ == "__main__":
    main()
