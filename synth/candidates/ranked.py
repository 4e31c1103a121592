"""Which first stage ranks a query: BM25, what the user gave (a TREC run or vectors), or both as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hardcut.engine.files import sha256_of
from hardcut.engine.stage import Output
from hardcut.schemas.errors import UsageError
from hardcut.schemas.records import Dropped, Query
from hardcut.schemas.trec import TrecRun, read_run
from hardcut.synth.candidates.dense import DENSE_RUN, Dense, kind_of, vectors_digest
from hardcut.synth.candidates.first_stage import BM25_RUN, Bm25, Hit, rank_hits
from hardcut.synth.candidates.fused import fuse


class Ranked(NamedTuple):
    """What a first stage of this name found for a query."""

    run: str
    hits: list[Hit]


@dataclass(frozen=True, slots=True)
class FirstStages:
    """BM25, and beside it a run of the user's or vectors. These take the place of BM25 for the queries that they list,
    by the user's id or ours. With `fused` both rank these queries, by the first `depth` of each."""

    bm25: Bm25
    videos: Collection[str]
    run: TrecRun | None = None
    dense: Dense | None = None
    fused: bool = False
    depth: int = 1000

    @property
    def given(self) -> str | None:
        """What the user's first stage is called; None where there is none."""
        return self.run.tag if self.run is not None else DENSE_RUN if self.dense is not None else None

    def key(self, query: Query) -> str | None:
        """The id under which the user's first stage lists the query, if it does."""
        return listed_as(query, self.run.scores if self.run else self.dense.queries if self.dense else ())

    def rank(self, query: Query, depth: int, also: Collection[str] = ()) -> Ranked:
        """The best `depth` videos of the collection for a query, and those of `also` at their own ranks."""
        key = self.key(query)
        if key is None or self.given is None:
            return Ranked(BM25_RUN, self.bm25.search(query.text, depth, also))
        if not self.fused:
            return Ranked(self.given, self._given(key, depth, also))
        most = max(depth, self.depth)
        lists = [self.bm25.search(query.text, most, also), self._given(key, most, also)]
        return Ranked(f"{BM25_RUN}+{self.given}", fuse(lists, depth, also))

    def unknown(self, seen: Collection[str]) -> Iterator[tuple[str, Output]]:
        """What the user's first stage lists and the collection does not have, each as a dropped unit; `seen` are the
        keys of its queries. The ranks of the rest stay."""
        what = f"the first-stage run {self.given}" if self.run else "the first stage's vectors"
        for query_id in sorted(self._queries - set(seen)):
            detail = f"{what} {'lists' if self.run else 'have'} this query, and there is none of this id"
            yield f"run query {query_id}", Output(drop=_dropped(query_id, "unknown_query", detail))
        for video_id, count in sorted(self._unknown_videos().items()):
            told = f"lists this video for {count} queries" if self.run else "have this video"
            detail = f"{what} {told}, and there is none of this id"
            yield f"run video {video_id}", Output(drop=_dropped(video_id, "unknown_video", detail))

    @property
    def _queries(self) -> set[str]:
        return set(self.run.scores if self.run else self.dense.queries if self.dense else ())

    def _unknown_videos(self) -> Mapping[str, int]:
        if self.run is None:
            return Counter(self.dense.unknown if self.dense else ())
        listed = (video for scores in self.run.scores.values() for video in scores)
        return Counter(video for video in listed if video not in self.videos)

    def _given(self, key: str, depth: int, also: Collection[str]) -> list[Hit]:
        if self.dense is not None:
            return self.dense.search(key, depth, also)
        scores = self.run.scores[key] if self.run else {}
        hits = [hit for hit in rank_hits(scores) if hit.video_id in self.videos]
        return [hit for place, hit in enumerate(hits) if place < depth or hit.video_id in also]


def check_first_stage(path: Path) -> None:
    """Raises UsageError where a user's first stage is no TREC run and has no vectors."""
    if path.is_dir():
        kind_of(path)
    else:
        read_run(path)


def open_first_stages(
    path: Path | None, bm25: Bm25, videos: Collection[str], *, fused: bool, depth: int
) -> FirstStages:
    """The first stages of a run; `path` is the user's, a TREC run or a folder of vectors. Raises UsageError."""
    if path is None:
        return FirstStages(bm25, videos)
    if path.is_dir():
        return FirstStages(bm25, videos, dense=Dense(path, videos), fused=fused, depth=depth)
    return FirstStages(bm25, videos, run=read_run(path), fused=fused, depth=depth)


def first_stage_digest(path: Path) -> str:
    """A digest of a user's first stage. Raises UsageError where it cannot be read."""
    if path.is_dir():
        return vectors_digest(path)
    try:
        return sha256_of(path)
    except OSError as error:
        raise UsageError(f"{path}: the first-stage run cannot be read: {error.strerror}") from error


def listed_as(query: Query, given: Collection[str]) -> str | None:
    """The id under which a file of the user's lists a query, if it does."""
    return next((key for key in (query.external_id, query.query_id) if key is not None and key in given), None)


def _dropped(item: str, reason: str, detail: str) -> Dropped:
    return Dropped.create(item=item, stage="negatives", reason=reason, detail=detail)
