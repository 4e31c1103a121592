"""Mining looks at few documents, and finds what a look at all of them finds."""

from __future__ import annotations

from random import Random

import pytest

pytest.importorskip("bm25s", reason='needs pip install "hardcut[eval]"')

import bm25s
import numpy as np

from hardcut.synth.candidates import postings as module
from hardcut.synth.candidates.first_stage import Bm25
from hardcut.synth.candidates.postings import Postings, best_places

Index = tuple[list[list[int]], Postings, bm25s.BM25]


def word(rng: Random) -> int:
    """Words as often as in a language, the k-th with about (1 + k / 30) ** -1.6."""
    return int(30 * ((1 - rng.random()) ** (-1 / 0.6) - 1)) % 5000


def index(documents: int) -> Index:
    rng = Random(3)
    vocabulary: dict[int, int] = {}
    corpus = [[vocabulary.setdefault(word(rng), len(vocabulary)) for _ in range(20)] for _ in range(documents)]
    made = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    made.index((corpus, vocabulary), show_progress=False)
    found = made.scores
    return corpus, Postings(found["indptr"], found["indices"], found["data"], documents), made


@pytest.fixture(scope="module")
def small() -> Index:
    return index(4000)


def queries(corpus: list[list[int]], count: int) -> list[tuple[int, list[int], list[int]]]:
    """A source, words of it and of another document, some twice, and documents to be ranked besides."""
    rng = Random(4)
    found = []
    for _ in range(count):
        source, other = rng.randrange(len(corpus)), rng.randrange(len(corpus))
        words = rng.choices(corpus[source], k=rng.randint(1, 9)) + rng.choices(corpus[other], k=rng.randint(0, 2))
        found.append((source, words, [source, *([other] if rng.random() < 0.5 and other != source else [])]))
    return found


@pytest.mark.parametrize("depth", [1, 8, 1000])
def test_the_best_are_those_of_all_to_the_last_bit(small: Index, depth: int) -> None:
    corpus, found, truth = small
    for _, words, also in queries(corpus, 100):
        scores = truth.get_scores_from_ids(words)
        places = np.flatnonzero(scores > 0).astype(np.int32)
        wanted = list(best_places(places, scores[places], depth, sorted(also)))
        assert list(best_places(*found.candidates(words, depth, sorted(also)), depth, sorted(also))) == wanted


def test_words_that_cannot_matter_are_not_looked_at(small: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRIED", 1)
    corpus, found, truth = small
    fewer = 0
    for source, words, _ in queries(corpus, 100):
        scores = truth.get_scores_from_ids(words)
        all_places = np.flatnonzero(scores > 0).astype(np.int32)
        places, seen = found.candidates(words, 8, [source])
        assert list(best_places(places, seen, 8, [source])) == list(
            best_places(all_places, scores[all_places], 8, [source])
        )
        fewer += len(places) < len(all_places) / 2
    assert fewer > 20


def test_a_query_costs_no_more_in_a_larger_collection(small: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 400)
    for corpus, found, truth in (small, index(16_000)):
        same = total = 0
        for source, words, _ in queries(corpus, 60):
            scores = truth.get_scores_from_ids(words)
            places, seen = found.candidates(words, 8, [source])
            rarest = min(found._count(word) for word in words)
            assert len(places) <= max(400, rarest) + 1
            assert (seen == scores[places]).all(), "what is found has its whole score"
            assert source in places
            best = {place for place, _, _ in best_places(places, seen, 8)}
            same += len(best & set(np.argsort(-scores, kind="stable")[:8].tolist()))
            total += 8
        assert same / total > 0.6


def test_nothing_is_left_of_a_query_for_the_next(small: Index) -> None:
    _, found, _ = small
    assert not found._met.any() and not found._sums.any()


def test_an_index_of_nothing_finds_nothing() -> None:
    assert Bm25([]).search("a word", 3) == [] == Bm25([("a", [])]).search("", 3)
