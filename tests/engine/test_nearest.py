"""Exact search equals a sort of all scores, whatever the blocks, and its memory does not grow with the collection."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from hardcut.engine import nearest as module
from hardcut.engine.nearest import nearest
from hardcut.engine.vectors import unit


def some(count: int, width: int = 16, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, width)))


def cut(vectors: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for at in range(0, len(vectors), size):
        yield vectors[at : at + size]


def sorted_whole(queries: np.ndarray, vectors: np.ndarray, ids: list[str], depth: int) -> list[list[str]]:
    """By score, then by id, both highest first: a sort in Python over exact scores."""
    found = []
    for query in queries.astype(np.float64):
        scores = [
            (round(float(query @ vector), 6), id) for vector, id in zip(vectors.astype(np.float64), ids, strict=True)
        ]
        found.append([id for _, id in sorted(scores, reverse=True)[:depth]])
    return found


@pytest.mark.parametrize(("count", "size", "depth"), [(500, 7, 10), (500, 500, 10), (500, 64, 1), (20, 6, 50)])
def test_the_best_are_those_of_a_sort_of_all(count: int, size: int, depth: int) -> None:
    vectors, queries = some(count), some(33, seed=1)
    ids = [f"v{(number * 7919) % count:04d}" for number in range(count)]
    best = nearest(queries, cut(vectors, size), ids, depth)
    named = [[ids[number] for number in row if number >= 0] for row in best.numbers.tolist()]
    assert named == sorted_whole(queries, vectors, ids, depth)
    again = (queries[:, None] * vectors[best.numbers]).sum(-1)
    assert np.abs(best.scores - again).max() < 2e-6
    assert (np.diff(best.scores, axis=1) <= 0).all()


def test_ties_go_by_id_the_highest_first_over_all_blocks() -> None:
    one = some(1)
    vectors, ids = np.repeat(one, 50, axis=0), [f"v{(number * 31) % 50:02d}" for number in range(50)]
    best = nearest(one, cut(vectors, 8), ids, 5)
    assert [ids[number] for number in best.numbers[0]] == ["v49", "v48", "v47", "v46", "v45"]


def test_blocks_of_scores_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries, ids = some(300), some(40, seed=2), [f"{number:03d}" for number in range(300)]
    whole = nearest(queries, cut(vectors, 300), ids, 9)
    monkeypatch.setattr(module, "_SCORES", 100)  # two vectors at a time
    pieces = nearest(queries, cut(vectors, 300), ids, 9)
    assert (whole.numbers == pieces.numbers).all() and np.abs(whole.scores - pieces.scores).max() < 2e-6


def test_memory_does_not_grow_with_the_collection() -> None:
    peaks = []
    for blocks in (10, 80):
        ids = [str(number) for number in range(blocks * 1000)]
        made = (some(1000, 64, seed) for seed in range(blocks))
        queries = some(50, 64, seed=999)
        tracemalloc.start()
        nearest(queries, made, ids, 10)
        peaks.append(tracemalloc.get_traced_memory()[1] - 16 * len(ids))  # the order of the ids
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 4e6


def test_what_is_missing_is_told() -> None:
    with pytest.raises(ValueError, match="16 numbers"):
        nearest(some(2, 16), [some(5, 8)], list("abcde"), 3)
    none = nearest(some(2), [], [], 3)
    assert none.numbers.tolist() == [[-1], [-1]]
    assert nearest(some(2)[:0], [some(5)], list("abcde"), 3).numbers.shape == (0, 3)
