"""The one list of stages, and what others take from it."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import hardcut
from hardcut.pipeline.stages import STAGES, card_steps

RUNS = Path(__file__).resolve().parents[1] / "cli" / "old_runs" / "26e4c37.tar.xz"


def test_the_card_counts_what_the_list_of_stages_says(tmp_path: Path) -> None:
    with tarfile.open(RUNS) as packed:
        packed.extractall(tmp_path, filter="data")
    run = hardcut.open_run(tmp_path / "evidence" / "whole", cache=tmp_path / "cache")
    card = (run.export(tmp_path / "dataset").folder / "README.md").read_text(encoding="utf-8")
    [table] = [block for block in card.split("\n\n") if block.startswith("| step |")]
    rows = [re.split(r" *\| *", line)[1:3] for line in table.splitlines()[2:]]
    counts = {name: int(count.replace(",", "")) for name, count in rows if count}
    assert list(counts) == list(card_steps()) == [entry.name for entry in STAGES if entry.counted]
    assert counts["captions"] == len(run.captions()) and counts["negatives"] == len(run.pairs())
