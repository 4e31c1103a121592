"""Whether words in common with the anchor tell the positive of a triplet from its hard negative. Pure functions.

A hard negative in the positive's wording usually has fewer words of the anchor than the positive, and one in the
anchor's wording has more. Two bags of words are asked: one counts all words alike, the other weighs rare ones more, as
TF-IDF does. The thing that two texts differ in is rare, and what words them is not. So the second is sometimes right
where the first is not. Where one of them is right more often than not over a whole nuance, halves of sets go.
"""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hardcut.schemas.triplets import Triplet

_WORD = re.compile(r"\w+")
_MOST = 0.5
"""So much of a nuance may go at most. What rare words still tell then stays."""


def is_worded_as_the_positive(triplet: Triplet) -> bool:
    """Whether the hard negative is in the wording of the positive, and not of the anchor."""
    kinds = triplet.positive_source.kind, triplet.hard_negative_source.kind
    return (kinds[0] == "paraphrase") == (kinds[1] == "paraphrase")


class Half(NamedTuple):
    """The triplets of a set whose hard negatives are worded as the positives, or those where they are not."""

    set_id: str
    as_positive: bool


@dataclass(slots=True)
class WordWeights:
    """How rare words are among texts: ln((1 + texts) / (1 + texts with the word)) + 1, as scikit-learn has it. Memory
    holds a number for each word."""

    texts: int = 0
    having: Counter[str] = field(default_factory=Counter)

    def note(self, texts: Iterable[str]) -> None:
        """Counts texts."""
        for text in texts:
            self.texts += 1
            self.having.update(set(_words(text)))

    def of(self, word: str) -> float:
        """The weight of a word."""
        return math.log((1 + self.texts) / (1 + self.having[word])) + 1


class Rates(NamedTuple):
    """How many triplets a bag of words is right about, by the words in common with the anchor (a tie is half)."""

    plain: float
    """Words counted alike: the mean of two measures, cosine of counts and Jaccard."""
    rare: float
    """Cosine of counts times weights."""


def rates(triplets: Sequence[Triplet], weights: WordWeights) -> Rates:
    """The shares of triplets that are told."""
    right = _right(triplets, weights)
    return Rates(*(each / len(triplets) for each in right)) if triplets else Rates(0.5, 0.5)


class _Counted(NamedTuple):
    half: Half
    size: int
    right: Rates

    def share(self, measure: int) -> float:
        return self.right[measure] / self.size


_PLAIN, _RARE = 0, 1
_NONE = Rates(0.0, 0.0)


@dataclass(slots=True)
class AnchorTally:
    """How often bags of words are right over the sets of one nuance and split. Memory holds a few numbers a set."""

    weights: WordWeights
    right: Rates = _NONE
    count: int = 0
    halves: list[_Counted] = field(default_factory=list)

    def add(self, set_id: str, members: Sequence[Triplet]) -> None:
        """Counts a set."""
        self.right = _sum(self.right, _right(members, self.weights))
        self.count += len(members)
        for as_positive in (True, False):
            half = [each for each in members if is_worded_as_the_positive(each) == as_positive]
            if 0 < len(half) < len(members):
                self.halves.append(_Counted(Half(set_id, as_positive), len(half), _right(half, self.weights)))

    def too_easy(self) -> set[Half]:
        """The halves that must go, for a bag of words to be right no more often than not in the rest: neither by plain
        counts nor by rare words; or else at least by plain counts. None where that cannot be had either: wordings that
        only add to their texts are told by their anchors whatever goes."""
        return self._gone((_PLAIN, _RARE), _MOST) or self._gone((_PLAIN,), 1.0)

    def _gone(self, measures: Sequence[int], most: float) -> set[Half]:
        """What must go for these measures; nothing where that is more than a share `most`, or does not help."""
        mine = deque(
            sorted(
                (each for each in self.halves if each.half.as_positive),
                key=lambda each: (-sum(map(each.share, measures)), each.half.set_id),
            )
        )
        # Without these, words counted alike are right more often: so they make room for others that must go.
        others = deque(
            sorted(
                (each for each in self.halves if each.share(_RARE) > 0.5 > each.share(_PLAIN)),
                key=lambda each: (each.share(_PLAIN) - each.share(_RARE), each.half.set_id),
            )
        )
        right, count, gone = self.right, self.count, set[Half]()
        while any(right[measure] > count / 2 for measure in measures):
            told = _PLAIN if right[_PLAIN] > count / 2 else _RARE
            queue = others if told == _RARE and others else mine
            if not queue or queue[0].share(told) <= 0.5:
                return set()
            each = queue.popleft()
            gone.add(each.half)
            right, count = Rates(*(all_ - of for all_, of in zip(right, each.right, strict=True))), count - each.size
        return gone if self.count - count <= most * self.count else set()


def _right(triplets: Sequence[Triplet], weights: WordWeights) -> Rates:
    total = _NONE
    for triplet in triplets:
        texts = triplet.anchor, triplet.positive, triplet.hard_negative
        anchor, positive, negative = (Counter(_words(text)) for text in texts)
        weighed = [
            {word: count * weights.of(word) for word, count in of.items()} for of in (anchor, positive, negative)
        ]
        plain = _nearer(_cosine(anchor, positive), _cosine(anchor, negative))
        plain += _nearer(_jaccard(anchor, positive), _jaccard(anchor, negative))
        rare = _nearer(_cosine(weighed[0], weighed[1]), _cosine(weighed[0], weighed[2]))
        total = _sum(total, Rates(plain / 2, rare))
    return total


def _sum(one: Rates, other: Rates) -> Rates:
    return Rates(one.plain + other.plain, one.rare + other.rare)


def _nearer(one: float, other: float) -> float:
    return 1.0 if one > other + 1e-9 else 0.5 if one > other - 1e-9 else 0.0


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    norms = math.sqrt(sum(n * n for n in one.values()) * sum(n * n for n in other.values()))
    return sum(count * other.get(word, 0.0) for word, count in one.items()) / norms if norms else 0.0


def _jaccard(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    whole = one.keys() | other.keys()
    return len(one.keys() & other.keys()) / len(whole) if whole else 0.0
