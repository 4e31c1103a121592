"""Two first stages as one: reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from hardcut.schemas.trec import ranking
from hardcut.synth.candidates.first_stage import Hit

K = 60
"""What is added to each rank, as in the paper."""


def fuse(found: Sequence[Sequence[Hit]], depth: int, also: Collection[str] = ()) -> list[Hit]:
    """The best `depth` by the sum of 1 / (60 + rank) over the lists that a video is in, and after them those of `also`
    at their own ranks. Ties go by id, highest first."""
    scores: defaultdict[str, float] = defaultdict(float)
    for hits in found:
        for hit in hits:
            scores[hit.video_id] += 1 / (K + hit.rank)
    ranked = ((place, video) for place, video in enumerate(ranking(scores), 1))
    return [Hit(video, place, round(scores[video], 6)) for place, video in ranked if place <= depth or video in also]
