"""The world's training data as the product makes it: `hardcut run` over the clips of training and validation, then
`hardcut export`. Only the teacher is scripted (`scripted.py`)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import hardcut
from benchmarks.curriculum.footage import MEDIA
from benchmarks.curriculum.scripted import Scripted
from benchmarks.curriculum.stories import Story
from benchmarks.curriculum.world import World
from hardcut.publish.dataset import Dataset

PER_VIEW = 5
"""Queries of a clip: one of each kind."""
EVERY = 1_000_000
_SETTINGS: dict[str, Any] = {
    # The scripted teacher looks at nothing, so nothing is looked for. It answers by a clip's title, so it is told that.
    "scores.show_metadata": True,
    "evidence.ocr": "off", "evidence.speech": "off", "evidence.shots": False, "evidence.motion": False,
    "duplicates.near": False,  # clips of one backdrop look alike, and differ in all that is asked
    "captions.check": False,
    "queries.views": ("caption",), "queries.per_view": PER_VIEW, "queries.composed": 0,
    # The world has few words: captions say what queries ask, and many clips answer one.
    "filters.leak": False, "filters.unspecific": False, "filters.without_watching": False,
    "judgments.trusted_below": -2.0, "judgments.suspected_above": 1.0,
    "export.near_text": 1.0,
}  # fmt: skip


def make_dataset(world: World, work: Path, **further: Any) -> Dataset:
    """The dataset of the world's clips under `work`, as an export left it; made where it is not there yet. Its videos
    are named relative to `clips_of(work)`. `further` are settings of the run."""
    clips, out = clips_of(work), work / "dataset"
    if (out / "hardcut.json").exists():
        return Dataset(out)
    clips.mkdir(parents=True, exist_ok=True)
    stories: dict[str, Story] = {}
    splits = ["id,split"]
    for split in ("train", "validation"):
        part = world.parts[split]
        stories |= part.stories
        for video, file in part.files.items():
            here = clips / file.path
            if not here.exists():
                os.link(world.root / file.path, here)
            here.with_suffix(".json").write_text(json.dumps({"title": video}), encoding="utf-8")
            splits.append(f"{video},{split}")
    named = work / "splits.csv"
    named.write_text("\n".join(splits) + "\n", encoding="utf-8")
    teacher = hardcut.teacher_from(Scripted(stories), name="curriculum", concurrency=8, cache=work / "cache")
    run = hardcut.run(
        clips,
        work / "run",
        teacher=teacher,
        cache=work / "cache",
        **{
            **{f"media.{name}": value for name, value in MEDIA.model_dump(exclude_defaults=True).items()},
            **_SETTINGS,
            "filters.max_answers": EVERY,
            "negatives.max_ratio": float(EVERY),
            "export.splits": str(named),
            **further,
        },
    )
    run.export(out)
    return Dataset(out)


def words_of(data: Dataset) -> frozenset[str]:
    """All words and marks of its captions and queries."""
    texts = [text for _, row in data.rows("captions") for text in (row["caption"], row["short"] or "")]
    texts += [row["query"] for _, row in data.rows("pairs", columns=("query",))]
    names = ("anchor", "positive", "hard_negative")
    if "triplets" in data.configs:
        texts += [row[name] for _, row in data.rows("triplets", columns=names) for name in names]
    return frozenset(part for text in texts for part in re.findall(r"\w+|[^\w\s]+", text))


def clips_of(work: Path) -> Path:
    """The folder of the clips that the run reads."""
    return work / "videos"
