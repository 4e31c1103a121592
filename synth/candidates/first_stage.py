"""First stages: BM25 over what is known of the videos, or the user's own TREC run. Ties go by `schemas/trec.py`."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hardcut.schemas.text.clean import tokens
from hardcut.schemas.trec import ranking
from hardcut.synth.candidates.postings import Postings, best_places

if TYPE_CHECKING:
    from hardcut.synth.candidates.postings import Floats

BM25_RUN = "bm25"


class Hit(NamedTuple):
    """A video that a first stage found for a query; `rank` starts at 1."""

    video_id: str
    rank: int
    score: float


class Bm25:
    """BM25 (bm25s, Lucene's variant, k1 1.5, b 0.75) over one document a video.

    A query costs a pass over the postings of its rarest words (`postings.py`), however large the collection is.
    """

    def __init__(self, documents: Iterable[tuple[str, Iterable[str]]]) -> None:
        """`documents` are pairs of a video's id and its words, sorted by id."""
        import bm25s

        self._ids: list[str] = []
        vocabulary: dict[str, int] = {}
        corpus: list[array[int]] = []
        for video_id, words in documents:
            self._ids.append(video_id)
            corpus.append(array("I", [vocabulary.setdefault(word, len(vocabulary)) for word in words]))
        self._vocabulary = vocabulary
        self._postings: Postings | None = None
        if vocabulary:
            index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
            index.index((corpus, dict(vocabulary)), show_progress=False)
            found = index.scores
            self._postings = Postings(found["indptr"], found["indices"], found["data"], len(self._ids))

    def search(self, text: str, depth: int, also: Iterable[str] = ()) -> list[Hit]:
        """The best `depth` videos that share a word with the text, by score, then by id, both highest first; after
        them those of `also` that share a word and are further down, at their own ranks.
        """
        words = [self._vocabulary[word] for word in tokens(text) if word in self._vocabulary]
        if self._postings is None or not words:
            return []
        wanted = _places(self._ids, also)
        places, scores = self._postings.candidates(words, depth, wanted)
        return _hits(self._ids, best_places(places, scores, depth, wanted))


def best_hits(ids: Sequence[str], scores: Floats, depth: int, also: Iterable[str] = ()) -> list[Hit]:
    """The best `depth` by score, then by id, both highest first; after them those of `also` that are further down, at
    their own ranks. `ids` are sorted, and `scores` are theirs."""
    import numpy as np

    return _hits(ids, best_places(np.arange(len(scores), dtype=np.int32), scores, depth, _places(ids, also)))


def _hits(ids: Sequence[str], found: Iterable[tuple[int, int, float]]) -> list[Hit]:
    return [Hit(ids[place], rank, round(score, 6)) for place, rank, score in found]


def _places(ids: Sequence[str], names: Iterable[str]) -> list[int]:
    found = ((bisect_left(ids, name), name) for name in names)
    return sorted(at for at, name in found if at < len(ids) and ids[at] == name)


def rank_hits(scores: Mapping[str, float]) -> tuple[Hit, ...]:
    """A run's hits for one query, best first, in the order in which runs are judged."""
    return tuple(Hit(video_id, rank, scores[video_id]) for rank, video_id in enumerate(ranking(scores), 1))
