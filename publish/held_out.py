"""Why a judged pair or a query is in no split of a dataset. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from hardcut.publish.columns import Row
from hardcut.publish.dataset import CONTRADICTION, COPIES_DISAGREE, MOVED
from hardcut.publish.splits import Splits, may_use
from hardcut.schemas.flags import Flagged
from hardcut.schemas.records import Dropped, Query


def out_of_split(splits: Splits, query: Query, video_id: str) -> tuple[str, str] | None:
    """Reason and detail where a pair of the query is in no split, for one of its videos."""
    split = splits.queries[query.query_id]
    for one in (video_id, query.reference_video_id):
        if one is not None and one in splits.moved:
            return MOVED, f"the video {one}: {splits.moved[one]}"
    for one in (video_id, query.reference_video_id):
        if one is not None and not may_use(split, splits.videos.get(one, split)):
            return "held_out_video", f"the query is in {split}, the video {one} is held out for {splits.videos[one]}"
    return None


def leak(splits: Splits, query_id: str) -> tuple[str, str] | None:
    """Reason and detail where the query is left out: of its split for one that is held out, or of all that there are
    since it had another in an earlier version."""
    moved = splits.moved.get(query_id)
    if moved is not None:
        return MOVED, f"the query {query_id}: {moved}"
    other = splits.leaks.get(query_id)
    if other is None:
        return None
    detail = f"{query_id} of {splits.queries[query_id]} says the same as {other} of {splits.queries[other]}"
    return "leaks_into_later_split", detail


def untrained(splits: Splits, flags: Flagged, query_id: str) -> tuple[str, str] | None:
    """Reason and detail where reviewers keep the query out of training."""
    why = flags.untrained.get(query_id)
    if why is None or splits.queries[query_id] != "train":
        return None
    return why, f"reviewers say so of {query_id}: it is trained on once it is reworded"


def without_contradictions(
    query_id: str, rows: Sequence[Row], contents: Mapping[str, str]
) -> tuple[list[Row], list[Dropped]]:
    """A query's rows of `pairs` without those of one content, under several ids or as copies, that is judged to answer
    it and not to answer it; and why these are left out. `contents` tell the content of each video."""
    labels: defaultdict[str, dict[bool, Row]] = defaultdict(dict)
    for row in rows:
        labels[contents[row["video_id"]]].setdefault(row["label"] > 0, row)
    kept, out = [], []
    for row in rows:
        by_label = labels[contents[row["video_id"]]]
        if len(by_label) == 1:
            kept.append(row)
        else:
            yes, no = by_label[True], by_label[False]
            reason = CONTRADICTION if yes["sha256"] == no["sha256"] else COPIES_DISAGREE
            detail = f"{query_id}: {yes['video_id']} answers it, and {no['video_id']}, a copy, does not"
            out.append(dropped_line(row["pair_id"], reason, detail))
    return kept, out


def dropped_line(item: str, reason: str, detail: str) -> Dropped:
    """The line of a judged pair, or of a video or query of an earlier version, that is in no split."""
    return Dropped.create(item=item, stage="export", reason=reason, detail=detail)
