"""The best documents by sums of scores, without looking at every document that shares a word with the query.

Words are taken from the rarest on. The rest need not be taken once documents without any of those taken cannot reach
the best any more (MaxScore; Turtle and Flood, 1995).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Places = NDArray[np.int32]

MOST = 1 << 16
"""Postings that a query looks at, unless its rarest word alone has more. Beyond, documents that share with it only
words that stand in more documents than those looked at are no candidates."""
_TRIED = 1 << 12
"""Postings of the next word from which on it is worth finding out whether the word is needed."""
_SLACK = 1e-4
"""Sums in another order differ by less."""


class Postings:
    """The documents of each word with what the word adds to their scores, as bm25s makes them."""

    def __init__(self, starts: NDArray[Any], places: NDArray[np.int32], scores: Floats, documents: int) -> None:
        """`starts`: where the postings of each word begin, [words + 1]; `places` are the numbers of documents, rising
        for each word, and `scores` what is added."""
        import numpy as np

        self._starts, self._all_places, self._all_scores = starts, places, scores
        self._peaks = np.maximum.reduceat(scores, starts[:-1])  # every word of the vocabulary is in some document
        self._sums = np.zeros(documents, dtype=np.float32)
        self._met = np.zeros(documents, dtype=np.bool_)

    def candidates(self, words: Sequence[int], depth: int, also: Sequence[int] = ()) -> tuple[Places, Floats]:
        """Documents with their whole scores: the best `depth` are among them, all that score as much as one of `also`,
        and `also`; documents that score nothing are left out.

        This is certain where the query's words have at most `MOST` postings, or the rest cannot matter. Else it is
        certain of the documents that have one of the words that were looked at.
        """
        import numpy as np

        found, taken = self._chosen(words, depth, np.array(also, dtype=np.int32))
        for word in words:  # in the order of the query, on which the last bits of a sum depend
            if word in taken:
                self._add_all(word)
            else:
                self._add(word, found)
        scores = self._sums[found]
        self._sums[found] = 0
        some = scores >= np.finfo(np.float32).tiny
        return found[some], scores[some]

    def _chosen(self, words: Sequence[int], depth: int, also: Places) -> tuple[Places, set[int]]:
        """The documents that may matter, and the words all of whose documents are among them."""
        import numpy as np

        order = sorted(set(words), key=lambda word: (self._count(word), word))
        left = sum(words.count(word) * float(self._peaks[word]) for word in order)
        need = self._least(words, also)
        found, taken, looked_at = also, set[int](), 0
        self._met[also] = True
        for word in order:
            count = self._count(word)
            if taken and looked_at + count > MOST:
                break
            if taken and count >= _TRIED and left < min(need, self._reached(taken, found, depth)) - _SLACK:
                break
            places, _ = self._of(word)
            new = places[~self._met[places]]
            self._met[new] = True
            found = np.concatenate([found, new])
            taken.add(word)
            looked_at += count
            left -= words.count(word) * float(self._peaks[word])
        self._met[found] = False
        return found, taken

    def _least(self, words: Sequence[int], also: Places) -> float:
        """The least whole score of some documents."""
        if not len(also):
            return float("inf")
        for word in words:
            self._add(word, also)
        least = float(self._sums[also].min())
        self._sums[also] = 0
        return least

    def _reached(self, taken: Iterable[int], found: Places, depth: int) -> float:
        """What the `depth`-th best of the documents has at least: the sum of the words that were taken."""
        import numpy as np

        if len(found) < depth:
            return 0.0
        for word in taken:
            self._add_all(word)
        reached = float(np.partition(self._sums[found], len(found) - depth)[len(found) - depth])
        self._sums[found] = 0
        return reached

    def _add_all(self, word: int) -> None:
        """Adds what a word scores to the sums of all documents that have it."""
        places, scores = self._of(word)
        self._sums[places] += scores

    def _add(self, word: int, found: Places) -> None:
        """Adds what a word scores to the sums of some documents."""
        import numpy as np

        places, scores = self._of(word)
        at = np.searchsorted(places, found)
        at[at == len(places)] = 0
        has = places[at] == found
        self._sums[found[has]] += scores[at[has]]

    def _of(self, word: int) -> tuple[Places, Floats]:
        part = slice(self._starts[word], self._starts[word + 1])
        return self._all_places[part], self._all_scores[part]

    def _count(self, word: int) -> int:
        return int(self._starts[word + 1] - self._starts[word])


def best_places(
    places: Places, scores: Floats, depth: int, also: Sequence[int] = ()
) -> Iterator[tuple[int, int, float]]:
    """Place, rank and score of the best `depth` by score, then by place, both highest first; after them those of `also`
    that are further down, at their own ranks. `scores` are those of `places`, each once."""
    import numpy as np

    found = np.arange(len(scores))
    if len(scores) > depth:  # no less than the least of the best: ties with the last one too
        found = np.flatnonzero(scores >= np.partition(scores, len(scores) - depth)[len(scores) - depth])
    best = found[np.lexsort((-places[found], -scores[found]))][:depth]
    for rank, at in enumerate(best, 1):
        yield int(places[at]), rank, float(scores[at])
    there = set(places[best].tolist())
    further = []
    for place in also:
        if place in there:
            continue
        for at in np.flatnonzero(places == place):
            before = np.count_nonzero(scores > scores[at])
            before += np.count_nonzero((scores == scores[at]) & (places > place))
            further.append((int(before) + 1, place, float(scores[at])))
    yield from ((place, rank, score) for rank, place, score in sorted(further))
