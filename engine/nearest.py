"""Exact search: the best of many vectors for each of some others, in blocks, in bounded memory.

Each score is computed; nothing is approximated. Beside one block of vectors and its scores only the best so far are
held. So memory does not grow with the number of vectors that are searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hardcut.engine.ahead import ahead

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]
    Numbers = NDArray[np.int64]

DIGITS = 6
"""Decimals that a score is rounded to. So equal vectors tie, although a product differs in its last bits by the place
in a block."""
_SLACK = 10.0**-DIGITS
_SCORES = 2**23
"""Scores that are held at once: 32 MiB."""


class Best(NamedTuple):
    """The best for each query, best first: scores and numbers of vectors, [queries, depth]; -1 where there are none."""

    scores: Matrix
    numbers: Numbers


def nearest(queries: Matrix, blocks: Iterable[Matrix], ids: Sequence[str], depth: int) -> Best:
    """The `depth` vectors with the greatest inner product for each of `queries`, [queries, dimension].

    `blocks` are the vectors in order, [n, dimension] each; `ids` name them. Scores are rounded to 6 decimals. Ties go
    by id, highest first (`schemas/trec.py`). Raises ValueError where dimensions differ.
    """
    import numpy as np

    order = np.empty(len(ids), dtype=np.int64)
    order[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    depth = max(1, min(depth, len(ids)))
    found = [_Kept(order, len(part), depth) for part in _parts(queries)]
    # Room for the scores of one product after the other: new memory would cost time.
    room, better = np.empty(_SCORES, dtype=np.float32), np.empty(_SCORES, dtype=np.bool_)
    start = 0
    for block in ahead(blocks):
        if block.shape[1] != queries.shape[1]:
            raise ValueError(f"queries of {queries.shape[1]} numbers, and vectors of {block.shape[1]}")
        for part, kept in zip(_parts(queries), found, strict=True):
            size = max(1, len(room) // len(part))
            for at in range(0, len(block), size):
                piece = block[at : at + size]
                scores = room[: len(part) * len(piece)].reshape(len(part), len(piece))
                kept.offer(np.matmul(part, piece.T, out=scores), start + at, better)
        start += len(block)
    best = [kept.best() for kept in found]
    empty = np.zeros((0, depth))
    return Best(
        np.concatenate([empty.astype(np.float32), *(each.scores for each in best)]),
        np.concatenate([empty.astype(np.int64), *(each.numbers for each in best)]),
    )


def _parts(queries: Matrix) -> list[Matrix]:
    """The queries in parts of at most 2,048: the scores of a part are held at once."""
    return [queries[at : at + 2048] for at in range(0, len(queries), 2048)]


class _Kept:
    """The best so far of some queries, and what may be among them."""

    def __init__(self, order: Numbers, queries: int, depth: int) -> None:
        import numpy as np

        self._order, self._queries, self._depth = order, queries, depth
        self._floor = np.full(queries, -np.inf, dtype=np.float32)
        self._rows, self._numbers, self._scores = (
            [np.zeros(0, dtype=np.int64)],
            [np.zeros(0, dtype=np.int64)],
            [np.zeros(0, dtype=np.float32)],
        )
        self._waiting = 0

    def offer(self, scores: Matrix, start: int, room: NDArray[np.bool_]) -> None:
        """Scores of a block, [queries, n], of the vectors from number `start` on; `room` is for as many truths."""
        import numpy as np

        if np.isneginf(self._floor).any() and scores.shape[1] > self._depth:
            # The depth-th of a block is no better than the depth-th of all.
            least = np.partition(scores, -self._depth, axis=1)[:, -self._depth]
            self._floor = np.maximum(self._floor, least - _SLACK)
        good = np.greater_equal(scores, self._floor[:, None], out=room[: scores.size].reshape(scores.shape))
        rows, columns = np.divmod(np.flatnonzero(good), scores.shape[1])
        self._rows.append(rows)
        self._numbers.append(columns + start)
        self._scores.append(np.round(scores[rows, columns], DIGITS))
        self._waiting += len(rows)
        if self._waiting > self._queries * self._depth:
            self._settle()

    def best(self) -> Best:
        """The best of all that was offered."""
        import numpy as np

        self._settle()
        scores = np.full((self._queries, self._depth), -np.inf, dtype=np.float32)
        numbers = np.full((self._queries, self._depth), -1, dtype=np.int64)
        rows, place = self._rows[0], _places(self._rows[0])
        scores[rows, place], numbers[rows, place] = self._scores[0], self._numbers[0]
        return Best(scores, numbers)

    def _settle(self) -> None:
        """Keeps the best of each query alone."""
        import numpy as np

        rows, numbers, scores = (
            np.concatenate(self._rows), np.concatenate(self._numbers), np.concatenate(self._scores)
        )  # fmt: skip
        sorted_ = np.lexsort((-self._order[numbers], -scores, rows))
        sorted_ = sorted_[_places(rows[sorted_]) < self._depth]
        rows, numbers, scores = rows[sorted_], numbers[sorted_], scores[sorted_]
        last = _places(rows) == self._depth - 1
        self._floor[rows[last]] = np.maximum(self._floor[rows[last]], scores[last] - _SLACK)
        self._rows, self._numbers, self._scores, self._waiting = [rows], [numbers], [scores], 0


def _places(rows: Numbers) -> Numbers:
    """The place of each element among those of its row; `rows` is sorted."""
    import numpy as np

    at = np.arange(len(rows))
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    place: Numbers = at - np.repeat(starts, np.diff(starts, append=len(rows)))
    return place
