"""What the auditor of looks is asked of a dataset: which video answers a query and which does not, and the few numbers
that frames and files give of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

from hardcut.publish.dataset import Dataset
from hardcut.report.statistics.looks import Comparison, Features
from hardcut.report.statistics.shortcuts import is_sampled

PAIR_COLUMNS = ("query_id", "video_id", "label", "origins")
CORPUS_COLUMNS = (
    "video_id",
    "video_path",
    "size_bytes",
    "duration_s",
    "fps",
    "width",
    "height",
    "codec",
    "has_audio",
    "complete",
    "group",
    "look",
)
ALL = "all"


@dataclass(frozen=True, slots=True)
class Looks:
    """Comparisons by how the video that does not answer met the query; features and group of each video. `unseen` are
    the compared videos of whose pictures or codec nothing is known: features are then those of the file alone."""

    comparisons: Mapping[str, list[Comparison]]
    features: Mapping[str, Features]
    parts: Mapping[str, str]
    unseen: tuple[str, ...]
    lost: tuple[str, ...]

    @classmethod
    def read(cls, dataset: Dataset) -> Looks:
        """Of all splits: whole queries, by hash, until there are enough pairs. `lost` are videos that the corpus lacks.
        Where the pictures of one video are unknown, nobody's are looked at."""
        comparisons: dict[str, list[Comparison]] = {ALL: []}
        for kind, found in _comparisons(dataset):
            comparisons.setdefault(kind, []).append(found)
            comparisons[ALL].append(found)
        wanted = {video for one in comparisons[ALL] for video in (one.answer, one.other)}
        corpus = (row for _, row in dataset.rows("corpus", CORPUS_COLUMNS))
        rows = {row["video_id"]: row for row in corpus if row["video_id"] in wanted}
        videos = sorted(wanted)
        lost = tuple(video for video in videos if video not in rows)
        unseen = tuple(
            video for video in videos if video in rows and None in (rows[video]["look"], rows[video]["codec"])
        )
        features = {video: _features(rows[video], pictures=not unseen) for video in videos if video in rows}
        return cls(comparisons, features, {video: row["group"] for video, row in rows.items()}, unseen, lost)


def _comparisons(dataset: Dataset) -> Iterator[tuple[str, Comparison]]:
    whole = dataset.count("pairs")
    rows = (row for _, row in dataset.rows("pairs", PAIR_COLUMNS))
    for query_id, pairs in groupby(rows, key=lambda row: row["query_id"]):  # a query's pairs lie together
        if not is_sampled(query_id, whole):
            continue
        found = list(pairs)
        answers = [row["video_id"] for row in found if row["label"] > 0]
        for row in found:
            if row["label"] <= 0:
                kind = next((each for each in ("counterfactual", "mined") if each in row["origins"]), "other")
                yield from ((kind, Comparison(answer, row["video_id"])) for answer in answers)


def _features(row: Mapping[str, Any], *, pictures: bool) -> Features:
    """Of a row of the corpus: how its pictures look, and what its file is."""
    seconds = max(row["duration_s"], 0.001)
    return {
        **(row["look"] if pictures else {}),
        "duration": row["duration_s"],
        "frame rate": row["fps"],
        "width": row["width"],
        "height": row["height"],
        "aspect": row["width"] / row["height"],
        "bytes": row["size_bytes"],
        "bytes a second": row["size_bytes"] / seconds,
        "codec": row["codec"] or "unknown",
        "suffix": PurePosixPath(row["video_path"]).suffix.lower(),
        "sound": "yes" if row["has_audio"] else "no",
        "whole": "yes" if row["complete"] else "no",
    }
