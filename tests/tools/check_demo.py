"""Reads what `hardcut demo --json` printed: the wheel stands by itself, and report and dataset can be opened."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datasets import load_dataset

import hardcut

result = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
assert "site-packages" in Path(hardcut.__file__).parts, f"{hardcut.__file__}: the wheel must stand by itself"
assert Path(result["report"]).is_file()
pairs = load_dataset(result["dataset"], "pairs")
print(json.dumps({"ndcg@10": result["ndcg@10"], "pairs": {split: len(rows) for split, rows in pairs.items()}}))
