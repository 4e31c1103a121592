"""The simulation of audits runs, and the page shows what it found last."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.review_estimates import RESULTS, agreements, audits, shares

PAGE = Path(__file__).resolve().parents[2] / "docs" / "review.md"


def test_every_part_runs() -> None:
    rows = [*audits(1), *shares(20), *agreements(1)]
    assert len(rows) == 12 + 3 + 16 and all(0 <= float(str(row["covered"])) <= 1 for row in rows)


def test_the_page_has_the_last_figures_and_each_is_near_95() -> None:
    told = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert all(part["repetitions"] >= 400 for part in told.values())
    for row in (row for part in told.values() for row in part["rows"]):
        bias = f"{row['bias']:+.3f}".replace("-", "−") if "bias" in row else ""
        assert f"| {row['figure']} | {100 * row['covered']:.1f} % | {bias} |" in page, row["figure"]
        assert 0.92 <= row["covered"] <= 0.98, row["figure"]
