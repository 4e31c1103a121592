"""How many training groups a scorer solves that is blind to order and to "not", with and without their blocks.

The scorer counts which words of a query are told of a video: in its captions and its speech. It knows no order, and
passes over words that deny. A group is solved if the positive scores above every negative; with its blocks, if every
answered side also scores above its other side. What it solves teaches a student to match words.

python -m benchmarks.blind_scorer DATASET [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardcut.engine.files import atomic_writer
from hardcut.publish.dataset import Dataset
from hardcut.schemas.text.words import STOP_WORDS, words
from hardcut.teacher.rules.judge import NEGATIONS, RELATIONS

_PASSED_OVER = STOP_WORDS | NEGATIONS | RELATIONS.keys() | {"but"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blind_scorer", description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "blind_scorer.json")
    asked = parser.parse_args()
    found = solved(Dataset(asked.dataset))
    with atomic_writer(asked.out) as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    print(json.dumps(found, indent=1))


def solved(dataset: Dataset) -> dict[str, Any]:
    """Groups, those with blocks, and the shares of all that are solved."""
    told: defaultdict[str, set[str]] = defaultdict(set)
    for _, row in dataset.rows("captions", ("video_id", "caption")):
        told[row["video_id"]].update(words(row["caption"]))
    for _, row in dataset.rows("corpus", ("video_id", "speech")):
        told[row["video_id"]].update(words(row["speech"] or ""))
    groups = [row for _, row in dataset.rows("groups")]
    by_videos = [_above_negatives(row, told) for row in groups]
    by_both = [first and _above_sides(row, told) for first, row in zip(by_videos, groups, strict=True)]
    return {
        "groups": len(groups),
        "with_blocks": sum(bool(row["counterfactuals"]) for row in groups),
        "solved_by_negatives": round(sum(by_videos) / len(groups), 4),
        "solved_with_blocks": round(sum(by_both) / len(groups), 4),
    }


def _score(query: str, told: set[str]) -> float:
    asked = [word for word in words(query) if word not in _PASSED_OVER]
    return sum(word in told for word in asked) / max(1, len(asked))


def _above_negatives(row: Mapping[str, Any], told: Mapping[str, set[str]]) -> bool:
    positive = _score(row["query"], told[row["positive"]["video_id"]])
    return all(positive > _score(row["query"], told[each["video_id"]]) for each in row["negatives"])


def _above_sides(row: Mapping[str, Any], told: Mapping[str, set[str]]) -> bool:
    video = told[row["positive"]["video_id"]]
    texts = {row["query_id"]: row["query"]} | {each["query_id"]: each["query"] for each in row["counterfactuals"]}
    return all(
        _score(texts[each["against"]], video) > _score(each["query"], video)
        for each in row["counterfactuals"]
        if not each["answered"]
    )


if __name__ == "__main__":
    main()
