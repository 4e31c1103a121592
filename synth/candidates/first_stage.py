"""First stages: BM25 over what is known of the videos, or the user's own TREC run. Ties go by `schemas/trec.py`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hardcut.schemas.text.clean import tokens
from hardcut.schemas.trec import ranking

BM25_RUN = "bm25"


class Hit(NamedTuple):
    """A video that a first stage found for a query; `rank` starts at 1."""

    video_id: str
    rank: int
    score: float


class Bm25:
    """BM25 (bm25s, Lucene's variant, k1 1.5, b 0.75) over one document a video.

    A query costs one pass over the postings of its words; nothing of the size queries x videos is ever held.
    """

    def __init__(self, documents: Iterable[tuple[str, Iterable[str]]]) -> None:
        """`documents` are pairs of a video's id and its words, sorted by id."""
        import bm25s

        self._ids: list[str] = []
        vocabulary: dict[str, int] = {}
        corpus: list[list[int]] = []
        for video_id, words in documents:
            self._ids.append(video_id)
            corpus.append([vocabulary.setdefault(word, len(vocabulary)) for word in words])
        self._vocabulary = vocabulary
        self._index: Any = None
        if vocabulary:
            self._index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
            self._index.index((corpus, dict(vocabulary)), show_progress=False)

    def search(self, text: str, depth: int, also: Iterable[str] = ()) -> list[Hit]:
        """The best `depth` videos that share a word with the text, by score, then by id, both highest first; after
        them those of `also` that share a word and are further down, at their own ranks. The cost is that of one pass
        over the scores, however deep the others lie.
        """
        words = [self._vocabulary[word] for word in tokens(text) if word in self._vocabulary]
        if not words:
            return []
        return best_hits(self._ids, self._index.get_scores_from_ids(words), depth, also, positive=True)


def best_hits(
    ids: Sequence[str], scores: Any, depth: int, also: Iterable[str] = (), *, positive: bool = False
) -> list[Hit]:
    """The best `depth` by score, then by id, both highest first; after them those of `also` that are further down, at
    their own ranks. `ids` are sorted, and `scores` are theirs. `positive`: no other score is a hit."""
    import numpy as np

    least = np.finfo(scores.dtype).tiny if positive else -np.inf
    if len(scores) > depth:  # no less than the least of the best: ties with the last one too
        found = np.flatnonzero(scores >= max(np.partition(scores, len(scores) - depth)[len(scores) - depth], least))
    else:
        found = np.flatnonzero(scores >= least)
    best = found[np.lexsort((-found, -scores[found]))][:depth]
    hits = [Hit(ids[at], rank, round(float(scores[at]), 6)) for rank, at in enumerate(best, 1)]
    there = set(best.tolist())
    for at in sorted(place for name in also if (place := _place(ids, name)) is not None and place not in there):
        if scores[at] >= least:
            before = np.count_nonzero(scores > scores[at]) + np.count_nonzero(scores[at + 1 :] == scores[at])
            hits.append(Hit(ids[at], int(before) + 1, round(float(scores[at]), 6)))
    return sorted(hits, key=lambda hit: hit.rank)


def _place(ids: Sequence[str], video_id: str) -> int | None:
    at = bisect_left(ids, video_id)
    return at if at < len(ids) and ids[at] == video_id else None


def rank_hits(scores: Mapping[str, float]) -> tuple[Hit, ...]:
    """A run's hits for one query, best first, in the order in which runs are judged."""
    return tuple(Hit(video_id, rank, scores[video_id]) for rank, video_id in enumerate(ranking(scores), 1))
