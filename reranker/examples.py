"""What a dataset gives to training, read and checked before anything is loaded: no torch here.

Every group names its own query, candidates and labels, so nothing is put together by position. What cannot be used is
in `LeftOut`, by name and with the reason.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hardcut.reranker.facts import Row, Tables
from hardcut.schemas.trec import Qrels
from hardcut.teacher.confidence import sigmoid

SoftLabels = Literal["calibrated", "raw"]


@dataclass(frozen=True, slots=True)
class Clipped:
    """A video that is trained on: where its file is under the root, and the digest of its bytes."""

    video_id: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A video of a group with the teacher's probability, `None` where there is none that can be used."""

    video: Clipped
    soft: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """One query with its positive and negatives."""

    group_id: str
    query: str
    positive: Candidate
    negatives: tuple[Candidate, ...]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The positive first."""
        return self.positive, *self.negatives


@dataclass(frozen=True, slots=True)
class Captioned:
    """A video with the caption that stage 1 learns."""

    video: Clipped
    caption: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that training does not use."""

    item: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Validation:
    """Judged pairs to rank: texts by query id, videos by id, grades."""

    queries: Mapping[str, str]
    videos: Mapping[str, Clipped]
    qrels: Qrels


def read_groups(tables: Tables, soft: SoftLabels, split: str = "train") -> tuple[list[Group], list[LeftOut]]:
    """The groups of a split by id, and those whose query the dataset does not have."""
    known = {row["query_id"] for _, row in tables.rows("queries", ("query_id",))}
    columns = ("pair_id", "p_calibrated", "logit_margin", "exact", "label")
    softs = {row["pair_id"]: _soft(row, soft) for of, row in tables.rows("pairs", columns) if of == split}
    groups, left_out = [], []
    for of, row in tables.rows("groups"):
        if of != split:
            continue
        if row["query_id"] not in known:
            detail = f"its query {row['query_id']} is not in the config `queries`"
            left_out.append(LeftOut(row["group_id"], "unknown_query", detail))
            continue
        positive, *negatives = (
            Candidate(_clipped(each), softs.get(each["pair_id"])) for each in (row["positive"], *row["negatives"])
        )
        groups.append(Group(row["group_id"], row["query"], positive, tuple(negatives)))
    return sorted(groups, key=lambda group: group.group_id), left_out


def read_captions(tables: Tables, split: str = "train") -> list[Captioned]:
    """The captions of a split by video; the first of a video's by id."""
    rows = sorted((row for of, row in tables.rows("captions") if of == split), key=lambda row: row["caption_id"])
    found: dict[str, Captioned] = {}
    for row in rows:
        found.setdefault(row["video_id"], Captioned(_clipped(row), row["caption"]))
    return [found[video] for video in sorted(found)]


def read_validation(tables: Tables, split: str = "validation") -> Validation:
    """The judged pairs of a split."""
    queries: dict[str, str] = {}
    videos: dict[str, Clipped] = {}
    qrels: defaultdict[str, dict[str, int]] = defaultdict(dict)
    columns = ("query_id", "query", "video_id", "video_path", "sha256", "label")
    for of, row in tables.rows("pairs", columns):
        if of == split:
            queries[row["query_id"]] = row["query"]
            videos[row["video_id"]] = _clipped(row)
            qrels[row["query_id"]][row["video_id"]] = row["label"]
    return Validation(queries, videos, dict(qrels))


def usable(groups: Iterable[Group], missing: Mapping[str, str]) -> tuple[list[Group], list[LeftOut]]:
    """The groups whose videos are all there. A negative that is `missing` (why, by video id) leaves its group, the
    positive or the last negative takes the group with it."""
    kept, left_out = [], []
    for group in groups:
        gone = [each.video.video_id for each in group.candidates if each.video.video_id in missing]
        left_out += [LeftOut(f"{group.group_id}:{video}", "missing_video", missing[video]) for video in gone]
        negatives = tuple(each for each in group.negatives if each.video.video_id not in missing)
        if group.positive.video.video_id not in missing and negatives:
            kept.append(Group(group.group_id, group.query, group.positive, negatives))
    return kept, left_out


def videos_of(groups: Sequence[Group], captions: Sequence[Captioned] = ()) -> Iterator[Clipped]:
    """Every video that is asked for, once, by id."""
    found = {each.video.video_id: each.video for group in groups for each in group.candidates}
    found |= {each.video.video_id: each.video for each in captions}
    yield from (found[video] for video in sorted(found))


def _soft(row: Row, soft: SoftLabels) -> float | None:
    """The teacher's probability. None where it is only a bound, or where the label, which people may have given, says
    the opposite: a teacher that was overruled teaches nothing."""
    margin = row["logit_margin"]
    if margin is None or not row["exact"] or not math.isfinite(margin):
        return None
    calibrated = row["p_calibrated"]
    probability = calibrated if soft == "calibrated" and calibrated is not None else sigmoid(margin)
    return float(probability) if (margin >= 0) == (row["label"] > 0) else None


def _clipped(row: Row) -> Clipped:
    return Clipped(row["video_id"], row["video_path"], row["sha256"])
